package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class LaggedMarkTest {
  private final AtomicLong nanos = new AtomicLong();
  private final LaggedMark mark = new LaggedMark(Duration.ofSeconds(15), nanos::get);

  @Test
  void what_was_left_below_is_looked_at_once_more_before_the_mark_passes_it() {
    mark.moveTo(100);
    after(Duration.ofHours(1));

    assertThat(mark.before()).as("nobody has looked since").isZero();
  }

  @Test
  void it_follows_where_it_stood_at_least_the_lag_ago() {
    mark.moveTo(100);
    after(Duration.ofSeconds(16));
    mark.moveTo(200);
    after(Duration.ofSeconds(14));
    mark.moveTo(300);
    assertThat(mark.before()).isZero();

    after(Duration.ofSeconds(2));
    mark.moveTo(400);
    assertThat(mark.before()).isEqualTo(100);
  }

  private void after(Duration time) {
    nanos.addAndGet(time.toNanos());
  }
}
