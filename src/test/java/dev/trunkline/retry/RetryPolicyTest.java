package dev.trunkline.retry;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RetryPolicyTest {
  private static final DoubleSupplier NEVER_ASKED =
      () -> {
        throw new AssertionError("no number was needed");
      };
  private static final DoubleSupplier ALMOST_ONE = () -> Math.nextDown(1.0);

  private static RetryPolicy exact(Duration initialDelay, Duration maxDelay, double multiplier) {
    return RetryPolicy.defaults()
        .withJitter(Jitter.NONE)
        .withDelays(initialDelay, maxDelay)
        .withMultiplier(multiplier);
  }

  @Test
  void delays_grow_by_the_multiplier_until_the_cap() {
    RetryPolicy policy = exact(Duration.ofMillis(100), Duration.ofSeconds(3), 2);

    assertThat(
            IntStream.rangeClosed(1, 8).mapToObj(n -> policy.delayAfter(n, NEVER_ASKED).toMillis()))
        .isEqualTo(List.of(100L, 200L, 400L, 800L, 1_600L, 3_000L, 3_000L, 3_000L));
  }

  @Test
  void a_multiplier_of_one_repeats_the_first_delay() {
    RetryPolicy policy = exact(Duration.ofSeconds(7), Duration.ofHours(1), 1);

    assertThat(policy.delayAfter(1, NEVER_ASKED)).isEqualTo(Duration.ofSeconds(7));
    assertThat(policy.delayAfter(100_000, NEVER_ASKED)).isEqualTo(Duration.ofSeconds(7));
  }

  @Test
  void a_thousand_deliveries_overflow_nothing() {
    for (double multiplier : new double[] {1, 1.5, 2, 1000}) {
      RetryPolicy policy = exact(Duration.ofMillis(1), Duration.ofDays(365), multiplier);
      Duration before = Duration.ZERO;
      for (int n = 1; n <= 1_000; n++) {
        Duration delay = policy.delayAfter(n, NEVER_ASKED);
        assertThat(delay).as("%d", n).isBetween(before, Duration.ofDays(365));
        before = delay;
      }
      assertThat(policy.delayAfter(Integer.MAX_VALUE, NEVER_ASKED))
          .isBetween(Duration.ZERO, Duration.ofDays(365));
    }
  }

  @Test
  void without_delays_there_is_never_one() {
    RetryPolicy policy = exact(Duration.ZERO, Duration.ZERO, 1_000);

    assertThat(policy.delayAfter(1, NEVER_ASKED)).isZero();
    assertThat(policy.delayAfter(1_000, NEVER_ASKED)).isZero();
    assertThat(policy.withJitter(Jitter.FULL).delayAfter(1_000, ALMOST_ONE)).isZero();
    assertThat(exact(Duration.ZERO, Duration.ofHours(1), 1_000).delayAfter(1_000, NEVER_ASKED))
        .isZero();
  }

  @Test
  void full_jitter_spreads_between_nothing_and_the_delay() {
    RetryPolicy policy =
        RetryPolicy.defaults().withDelays(Duration.ofSeconds(1), Duration.ofSeconds(10));

    assertThat(policy.delayAfter(3, () -> 0)).isZero();
    assertThat(policy.delayAfter(3, () -> 0.5)).isEqualTo(Duration.ofSeconds(2));
    assertThat(policy.delayAfter(3, ALMOST_ONE)).isEqualTo(Duration.ofMillis(3_999));
    assertThat(policy.delayAfter(50, ALMOST_ONE)).isEqualTo(Duration.ofMillis(9_999));
  }

  @Test
  void full_jitter_uses_the_whole_range() {
    Random random = new Random(3);
    RetryPolicy policy =
        RetryPolicy.defaults().withDelays(Duration.ofSeconds(10), Duration.ofSeconds(10));

    long[] millis =
        IntStream.range(0, 2_000)
            .mapToLong(i -> policy.delayAfter(1, random::nextDouble).toMillis())
            .toArray();

    assertThat(java.util.Arrays.stream(millis)).allMatch(delay -> delay >= 0 && delay < 10_000);
    for (int tenth = 0; tenth < 10; tenth++) {
      int from = tenth * 1_000;
      assertThat(java.util.Arrays.stream(millis).filter(d -> d >= from && d < from + 1_000).count())
          .as("from %d ms", from)
          .isBetween(120L, 280L);
    }
  }

  @Test
  void the_limit_is_reached_with_the_last_delivery_it_allows() {
    RetryPolicy policy = RetryPolicy.defaults().withMaxDeliveries(3);

    assertThat(policy.isExhaustedBy(2)).isFalse();
    assertThat(policy.isExhaustedBy(3)).isTrue();
    assertThat(policy.isExhaustedBy(4)).isTrue();
    assertThat(policy.limit()).hasValue(3);
  }

  @Test
  void unlimited_is_never_reached() {
    RetryPolicy policy = RetryPolicy.defaults().withMaxDeliveries(RetryPolicy.UNLIMITED);

    assertThat(policy.isExhaustedBy(Integer.MAX_VALUE)).isFalse();
    assertThat(policy.limit()).isEmpty();
  }

  @Test
  void the_defaults_are_what_is_documented() {
    RetryPolicy policy = RetryPolicy.defaults();

    assertThat(policy.maxDeliveries()).isEqualTo(5);
    assertThat(policy.initialDelay()).isEqualTo(Duration.ofSeconds(1));
    assertThat(policy.maxDelay()).isEqualTo(Duration.ofMinutes(5));
    assertThat(policy.multiplier()).isEqualTo(2);
    assertThat(policy.jitter()).isEqualTo(Jitter.FULL);
  }
}
