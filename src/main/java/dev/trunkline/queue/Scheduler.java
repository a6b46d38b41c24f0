package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Makes scheduled messages ready when their time has come: those that were sent with a delay, and
 * those that back off; and gives keys that wait their turn. Runs in every process; row locks decide
 * who moves which message. Sleeps until the next one is due.
 */
final class Scheduler implements Step {
  /** Messages moved by one statement. */
  static final int LIMIT = 1000;

  private final Database database;
  private final Wakeups wakeups;
  private final DueTime due;

  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  Scheduler(Database database, Wakeups wakeups, DueTime due) {
    this.database = database;
    this.wakeups = wakeups;
    this.due = due;
  }

  @Override
  public Duration runOnce() {
    Duration remaining = due.remaining();
    if (!remaining.isZero()) {
      return remaining;
    }
    due.clear();
    promoteDue(null);
    boolean everything = budget.allows();
    database.run(session -> ScheduleStore.nextDueInMs(session, everything)).ifPresent(due::in);
    return due.remaining();
  }

  /** Moves all that is due; now null means the database's clock. Answers how many messages. */
  long promoteDue(@Nullable Instant now) {
    promoteAll(now, ScheduleStore::promoteTurns);
    return promoteAll(now, ScheduleStore::promote);
  }

  private interface Promotion {
    List<ScheduleStore.Promoted> run(
        Session session, boolean everything, @Nullable Instant now, int limit);
  }

  private long promoteAll(@Nullable Instant now, Promotion promotion) {
    long all = 0;
    while (true) {
      boolean everything = budget.allows();
      long begin = System.nanoTime();
      List<ScheduleStore.Promoted> promoted =
          database.run(session -> promotion.run(session, everything, now, LIMIT));
      long moved = promoted.stream().mapToLong(ScheduleStore.Promoted::messages).sum();
      if (everything && moved == 0) {
        budget.spent(Duration.ofNanos(System.nanoTime() - begin));
      }
      promoted.forEach(lane -> wakeups.ready(lane.queueId(), List.of(lane.runs())));
      all += moved;
      if (moved < LIMIT) {
        return all;
      }
    }
  }
}
