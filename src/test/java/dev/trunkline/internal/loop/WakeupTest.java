package dev.trunkline.internal.loop;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class WakeupTest {
  private final Wakeup wakeup = new Wakeup();

  @Test
  void a_signal_that_comes_while_nobody_waits_is_kept() throws InterruptedException {
    wakeup.signal();
    assertThat(wakeup.await(Duration.ofSeconds(30))).isTrue();
  }

  @Test
  void many_signals_are_one() throws InterruptedException {
    wakeup.signal();
    wakeup.signal();
    assertThat(wakeup.await(Duration.ZERO)).isTrue();
    assertThat(wakeup.await(Duration.ZERO)).isFalse();
  }

  @Test
  void without_a_signal_the_wait_is_over_in_time() throws InterruptedException {
    long begin = System.nanoTime();
    assertThat(wakeup.await(Duration.ofMillis(30))).isFalse();
    assertThat(Duration.ofNanos(System.nanoTime() - begin))
        .isGreaterThanOrEqualTo(Duration.ofMillis(30));
    assertThat(wakeup.await(Duration.ofMillis(-5))).isFalse();
  }

  @Test
  void a_wait_longer_than_nanoseconds_can_say_is_woken_all_the_same() throws InterruptedException {
    Thread signaller = new Thread(wakeup::signal);
    signaller.start();
    assertThat(wakeup.await(Duration.ofSeconds(Long.MAX_VALUE))).isTrue();
    signaller.join();
  }

  @Test
  void waits_double_up_to_the_longest_until_there_is_something() {
    IdleBackoff idle = new IdleBackoff(Duration.ofMillis(5), Duration.ofMillis(18));

    assertThat(idle.next()).isEqualTo(Duration.ofMillis(5));
    assertThat(idle.isIdle()).isFalse();
    assertThat(idle.next()).isEqualTo(Duration.ofMillis(10));
    assertThat(idle.isIdle()).isTrue();
    assertThat(idle.next()).isEqualTo(Duration.ofMillis(18));
    assertThat(idle.next()).isEqualTo(Duration.ofMillis(18));
    idle.reset();
    assertThat(idle.isIdle()).isFalse();
    assertThat(idle.next()).isEqualTo(Duration.ofMillis(5));
  }
}
