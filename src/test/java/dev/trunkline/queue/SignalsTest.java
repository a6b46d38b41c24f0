package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class SignalsTest {
  private static final int QUEUE = 7;

  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 1);
  private final Signals signals = new Signals(nanos::get);

  @Test
  void a_commit_of_the_callers_is_expected_for_a_tenth_of_a_second() {
    signals.lanes(QUEUE);
    assertThat(signals.isExpected(QUEUE)).isFalse();

    signals.expect(QUEUE);
    pass(Duration.ofMillis(99));
    assertThat(signals.isExpected(QUEUE)).isTrue();
    assertThat(signals.isExpected(QUEUE + 1)).isFalse();

    pass(Duration.ofMillis(1));
    assertThat(signals.isExpected(QUEUE)).isFalse();
  }

  @Test
  void each_send_of_the_callers_prolongs_what_is_expected() {
    signals.lanes(QUEUE);
    signals.expect(QUEUE);
    pass(Duration.ofMillis(60));
    signals.expect(QUEUE);
    pass(Duration.ofMillis(60));
    assertThat(signals.isExpected(QUEUE)).isTrue();
  }

  @Test
  void those_who_wait_are_woken_until_they_leave() {
    AtomicInteger woken = new AtomicInteger();
    Signals.Subscription subscription = signals.subscribe(QUEUE, woken::incrementAndGet);
    signals.expect(QUEUE);
    signals.wakeAll();
    assertThat(woken).hasValue(2);

    subscription.close();
    signals.expect(QUEUE);
    assertThat(woken).hasValue(2);
  }

  private void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }
}
