package dev.trunkline.internal.loop;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class DueTimeTest {
  private final DueTime due = new DueTime();
  private final AtomicInteger wakes = new AtomicInteger();

  @Test
  void at_first_and_when_it_is_past_nothing_remains() {
    assertThat(due.remaining()).isZero();
    due.clear();
    due.in(0);
    assertThat(due.remaining()).isZero();
  }

  @Test
  void the_earliest_counts_and_only_an_earlier_one_wakes() {
    due.clear();
    due.onBroughtForward(wakes::incrementAndGet);

    due.in(600_000);
    assertThat(wakes).hasValue(1);
    due.in(900_000);
    assertThat(wakes).hasValue(1);
    assertThat(due.remaining()).isBetween(Duration.ofMillis(500_000), Duration.ofMillis(600_000));
    due.in(100_000);
    assertThat(wakes).hasValue(2);
    assertThat(due.remaining()).isLessThanOrEqualTo(Duration.ofMillis(100_000));
  }

  @Test
  void what_is_far_away_or_past_is_clamped() {
    due.clear();
    due.in(Long.MAX_VALUE);
    assertThat(due.remaining()).isLessThanOrEqualTo(Duration.ofHours(1));
    due.in(-5);
    assertThat(due.remaining()).isZero();
  }

  @Test
  void looks_from_the_beginning_are_free_while_cheap_and_take_a_fiftieth_of_the_time_otherwise() {
    AtomicLong clock = new AtomicLong();
    ProbeBudget budget = new ProbeBudget(clock::get);
    assertThat(budget.allows()).isTrue();
    budget.spent(Duration.ofMillis(20));
    assertThat(budget.allows()).isTrue();

    budget.spent(Duration.ofMillis(100));
    assertThat(budget.allows()).isFalse();
    clock.addAndGet(Duration.ofMillis(4_999).toNanos());
    assertThat(budget.allows()).isFalse();
    clock.addAndGet(Duration.ofMillis(1).toNanos());
    assertThat(budget.allows()).isTrue();
  }
}
