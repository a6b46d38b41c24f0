package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LanesTest {
  private static final int SEEDS = 3_000;

  private final Lanes lanes = new Lanes();

  @Test
  void a_run_announced_while_a_claim_that_did_not_see_it_is_under_way_is_looked_for_next() {
    passed(0, 99);
    Lanes.Attempt overtaken = lanes.begin();
    lanes.appeared(new Lanes.Announced(5, 100, 100));
    lanes.finished(overtaken, List.of(new Lanes.Taken(5, 110, true)), false);

    assertThat(covers(lanes.begin(), 5, 100)).isTrue();
  }

  @Test
  void a_run_that_was_committed_late_is_looked_for_once_and_first() {
    passed(0, 99);
    lanes.appeared(new Lanes.Announced(5, 3, 4));

    Lanes.Attempt attempt = lanes.begin();
    List<Lanes.Range> ofLane =
        attempt.ranges().stream().filter(range -> range.priority() == 5).toList();
    assertThat(ofLane)
        .containsExactly(new Lanes.Range(5, 3, 5), new Lanes.Range(5, 100, Long.MAX_VALUE));
    lanes.finished(
        attempt, List.of(new Lanes.Taken(5, 3, true), new Lanes.Taken(5, 200, true)), false);

    assertThat(covers(lanes.begin(), 5, 4)).as("it has been looked through").isFalse();
  }

  @Test
  void the_rest_of_a_split_run_is_looked_for_next() {
    passed(0, 99);
    lanes.appeared(new Lanes.Announced(5, 7, 7));
    Lanes.Attempt splitting = lanes.begin();
    lanes.finished(splitting, List.of(new Lanes.Taken(5, 7, false)), false);
    assertThat(covers(lanes.begin(), 5, 7)).isTrue();
  }

  @Test
  void the_rest_of_a_run_split_while_another_claim_passes_it_is_looked_for_next() {
    Lanes.Attempt splitting = lanes.begin();
    Lanes.Attempt passing = lanes.begin();
    lanes.finished(splitting, List.of(new Lanes.Taken(5, 7, false)), false);
    lanes.finished(passing, List.of(new Lanes.Taken(5, 30, true)), false);

    assertThat(covers(lanes.begin(), 5, 7)).isTrue();
  }

  @Test
  void higher_priorities_come_first_and_each_is_looked_at() {
    passed(0, 99);
    lanes.appeared(new Lanes.Announced(9, 1, 1));
    List<Integer> order =
        lanes.begin().ranges().stream().map(Lanes.Range::priority).distinct().toList();
    assertThat(order).containsExactly(9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  }

  @Test
  void many_stragglers_are_looked_for_in_few_ranges() {
    passed(0, 999);
    for (long seq = 0; seq < 900; seq += 10) {
      lanes.appeared(new Lanes.Announced(5, seq, seq));
    }
    Lanes.Attempt attempt = lanes.begin();
    for (long seq = 0; seq < 900; seq += 10) {
      assertThat(covers(attempt, 5, seq)).as("place " + seq).isTrue();
    }
    assertThat(attempt.ranges()).hasSizeLessThanOrEqualTo(10 + 8);
  }

  @Test
  void after_a_claim_that_failed_what_it_may_have_missed_is_looked_for() {
    Lanes.Attempt failing = lanes.begin();
    lanes.appeared(new Lanes.Announced(5, 7, 7));
    lanes.finished(lanes.begin(), List.of(new Lanes.Taken(5, 30, true)), false);
    assertThat(failing.ranges()).isNotEmpty();
    lanes.failed();

    assertThat(covers(lanes.begin(), 5, 7)).isTrue();
  }

  @Test
  void a_saturated_claimer_begins_at_the_frontier_and_no_lower() {
    passed(0, 99);
    assertThat(covers(lanes.begin(), 5, 99)).isFalse();
    assertThat(covers(lanes.begin(), 5, 100)).isTrue();
  }

  /** One claim of a model of the table. */
  private static final class Claim {
    final Lanes.Attempt attempt;
    final List<Run> picked = new ArrayList<>();
    final List<Lanes.Taken> taken = new ArrayList<>();
    boolean exhausted;
    boolean executed;
    boolean committed;

    Claim(Lanes.Attempt attempt) {
      this.attempt = attempt;
    }
  }

  /** A run of the model; there is one per priority and place. */
  private static final class Run {
    final int priority;
    final long seq;
    int messages;
    boolean locked;

    Run(int priority, long seq, int messages) {
      this.priority = priority;
      this.seq = seq;
      this.messages = messages;
    }
  }

  /**
   * The table, and the claimers of one process. A claim begins, executes (sees and locks), commits
   * and reports, each at another moment.
   */
  private static final class Model {
    private static final int[] PRIORITIES = {9, 5};

    final Lanes lanes = new Lanes();
    final SplittableRandom lot;
    final boolean locksLast;
    final boolean losesWord;
    final TreeMap<Long, Run> ready = new TreeMap<>();
    final List<Run> uncommitted = new ArrayList<>();
    final List<Run> unannounced = new ArrayList<>();
    final List<Claim> claims = new ArrayList<>();
    long nextSeq = 1;

    Model(long seed, boolean locksLast, boolean losesWord) {
      this.lot = new SplittableRandom(seed);
      this.locksLast = locksLast;
      this.losesWord = losesWord;
    }

    void step() {
      switch (lot.nextInt(10)) {
        case 0, 1 ->
            uncommitted.add(new Run(PRIORITIES[lot.nextInt(2)], nextSeq++, 1 + lot.nextInt(4)));
        case 2, 3 -> {
          if (!uncommitted.isEmpty()) {
            Run run = uncommitted.remove(lot.nextInt(uncommitted.size()));
            ready.put(run.seq, run);
            unannounced.add(run);
          }
        }
        case 4 -> announceOne();
        case 5 -> {
          if (claims.size() < 4) {
            claims.add(new Claim(lanes.begin()));
          }
        }
        case 6, 7, 8 -> {
          if (!claims.isEmpty()) {
            advance(claims.get(lot.nextInt(claims.size())));
          }
        }
        default -> letTimePass();
      }
    }

    private void announceOne() {
      if (!unannounced.isEmpty()) {
        Run run = unannounced.remove(lot.nextInt(unannounced.size()));
        if (!losesWord || lot.nextInt(3) > 0) {
          lanes.appeared(new Lanes.Announced(run.priority, run.seq, run.seq));
        }
      }
    }

    private void advance(Claim claim) {
      if (!claim.executed) {
        execute(claim, 1 + lot.nextInt(4), 1 + lot.nextInt(8));
        if (!locksLast) {
          commit(claim);
        }
      } else if (!claim.committed) {
        commit(claim);
      } else {
        claims.remove(claim);
        if (losesWord && lot.nextInt(20) == 0) {
          // It is committed, and its answer is lost.
          lanes.failed();
        } else {
          lanes.finished(claim.attempt, claim.taken, claim.exhausted);
        }
      }
    }

    /** As the statement does it: in the order of the ranges, past what is locked. */
    void execute(Claim claim, int maxRuns, int maxMessages) {
      claim.executed = true;
      for (Lanes.Range range : claim.attempt.ranges()) {
        for (Run run : List.copyOf(ready.tailMap(range.from(), true).values())) {
          boolean inside = run.seq < range.to() && run.priority == range.priority();
          if (inside && !run.locked && claim.picked.size() < maxRuns) {
            run.locked = locksLast;
            claim.picked.add(run);
          }
        }
      }
      int left = maxMessages;
      for (Run run : claim.picked) {
        if (left > 0) {
          int take = Math.min(left, run.messages);
          claim.taken.add(new Lanes.Taken(run.priority, run.seq, take == run.messages));
          left -= take;
          run.messages -= take;
        }
      }
      boolean tookAll =
          claim.taken.size() == claim.picked.size()
              && (claim.taken.isEmpty() || claim.taken.get(claim.taken.size() - 1).whole());
      claim.exhausted = tookAll && claim.picked.size() < maxRuns;
    }

    private void commit(Claim claim) {
      claim.committed = true;
      claim.picked.forEach(run -> run.locked = false);
      ready.values().removeIf(run -> run.messages == 0);
    }

    /** So that the hints follow the frontier. */
    private void letTimePass() {
      try {
        Field laggedAt = Lanes.class.getDeclaredField("laggedAt");
        laggedAt.setAccessible(true);
        laggedAt.set(lanes, System.nanoTime() - 1_000_000_000L);
      } catch (ReflectiveOperationException e) {
        throw new IllegalStateException(e);
      }
    }

    void comeToRest() {
      while (!claims.isEmpty()) {
        advance(claims.get(0));
      }
      while (!uncommitted.isEmpty()) {
        Run run = uncommitted.remove(0);
        ready.put(run.seq, run);
        unannounced.add(run);
      }
      while (!unannounced.isEmpty()) {
        announceOne();
      }
    }

    /** Claims, one after the other, until one finds that there is no more. */
    void drain() {
      Claim claim;
      do {
        letTimePass();
        claim = new Claim(lanes.begin());
        execute(claim, 3, 5);
        commit(claim);
        lanes.finished(claim.attempt, claim.taken, claim.exhausted);
      } while (!claim.exhausted);
    }

    /** What the pulse does when it looks from the beginning. */
    void lookFromZero() {
      for (int priority : PRIORITIES) {
        ready.values().stream()
            .filter(run -> run.priority == priority)
            .findFirst()
            .ifPresent(
                run -> lanes.appeared(new Lanes.Announced(priority, run.seq, Long.MAX_VALUE - 1)));
      }
    }

    List<Long> left() {
      return List.copyOf(ready.keySet());
    }
  }

  @Test
  void no_run_that_was_announced_is_forgotten_whatever_the_interleaving() {
    for (int seed = 0; seed < SEEDS; seed++) {
      Model model = new Model(seed, false, false);
      for (int step = 0; step < 150; step++) {
        model.step();
      }
      model.comeToRest();
      model.drain();
      assertThat(model.left()).as("seed " + seed).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void what_the_hints_miss_is_found_by_one_look_from_zero(boolean losesWord) {
    int missed = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
      Model model = new Model(seed, true, losesWord);
      for (int step = 0; step < 150; step++) {
        model.step();
      }
      model.comeToRest();
      model.drain();
      missed += model.left().isEmpty() ? 0 : 1;
      model.lookFromZero();
      model.drain();
      assertThat(model.left()).as("seed " + seed).isEmpty();
    }
    assertThat(missed).as("how often there was something to find").isPositive();
  }

  /** A saturated claimer has taken everything up to here. */
  private void passed(long first, long last) {
    lanes.finished(
        lanes.begin(),
        List.of(new Lanes.Taken(5, first, true), new Lanes.Taken(5, last, true)),
        false);
  }

  private static boolean covers(Lanes.Attempt attempt, int priority, long seq) {
    return attempt.ranges().stream()
        .anyMatch(range -> range.priority() == priority && range.from() <= seq && seq < range.to());
  }
}
