package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Work;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Removes what has expired from ready, the lines of keys and scheduled, so that the depth of a
 * queue is that of what will be delivered. Delivery does not rest on it: a claim looks at the time
 * of each message, too. Runs in every process; row locks decide who removes what. Sleeps until the
 * {@link Pulse} has seen that something is over.
 */
final class ExpirySweep implements Step {
  /** Runs, messages in the lines of keys, or scheduled ones, of one statement. */
  static final int LIMIT = 200;

  private final Database database;
  private final Wakeups wakeups;
  private final DueTime over;
  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  ExpirySweep(Database database, Wakeups wakeups, DueTime over) {
    this.database = database;
    this.wakeups = wakeups;
    this.over = over;
  }

  @Override
  public Duration runOnce() {
    Duration remaining = over.remaining();
    if (!remaining.isZero()) {
      return remaining;
    }
    over.clear();
    sweep(null);
    return over.remaining();
  }

  /** Removes all that is over; now null means the database's clock. */
  void sweep(@Nullable Instant now) {
    boolean everything = budget.allows();
    long begin = System.nanoTime();
    boolean found =
        sweepReady(everything, now)
            | sweepAll(session -> ExpiryStore.sweepLines(session, everything, now, LIMIT))
            | sweepAll(session -> ExpiryStore.sweepScheduled(session, everything, now, LIMIT));
    if (everything && !found) {
      budget.spent(Duration.ofNanos(System.nanoTime() - begin));
    }
  }

  private boolean sweepReady(boolean everything, @Nullable Instant now) {
    boolean any = false;
    long taken;
    do {
      List<ExpiryStore.Swept> swept =
          database.run(session -> ExpiryStore.sweepReady(session, everything, now, LIMIT));
      taken = swept.get(0).taken();
      any |= taken > 0;
      swept.stream()
          .filter(lane -> lane.rest().first() > 0)
          .forEach(lane -> wakeups.ready(lane.queueId(), List.of(lane.rest())));
    } while (taken == LIMIT);
    return any;
  }

  private boolean sweepAll(Work<Long> step) {
    boolean any = false;
    long removed;
    do {
      removed = database.run(step);
      any |= removed > 0;
    } while (removed == LIMIT);
    return any;
  }
}
