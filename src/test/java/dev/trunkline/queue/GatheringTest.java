package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class GatheringTest {
  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 1_000_000);
  private final Gathering gathering = new Gathering(nanos::get);

  @Test
  void the_first_claim_waits_for_nothing() {
    assertThat(gathering.left()).isLessThanOrEqualTo(Duration.ZERO);
  }

  @Test
  void a_claim_that_took_the_last_of_a_stream_is_followed_after_a_moment() {
    gathering.claimed(Gathering.STREAM, true);

    assertThat(gathering.left()).isEqualTo(Gathering.LONGEST);
    pass(Gathering.LONGEST.minusMillis(1));
    assertThat(gathering.left()).isEqualTo(Duration.ofMillis(1));
    pass(Duration.ofMillis(1));
    assertThat(gathering.left()).isEqualTo(Duration.ZERO);
  }

  @Test
  void a_full_claim_is_followed_at_once() {
    gathering.claimed(Gathering.STREAM, true);
    gathering.claimed(100, false);

    assertThat(gathering.left()).isLessThanOrEqualTo(Duration.ZERO);
  }

  @Test
  void few_messages_are_no_stream() {
    gathering.claimed(Gathering.STREAM - 1, true);
    assertThat(gathering.left()).isLessThanOrEqualTo(Duration.ZERO);

    gathering.claimed(0, true);
    assertThat(gathering.left()).isLessThanOrEqualTo(Duration.ZERO);
  }

  private void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }
}
