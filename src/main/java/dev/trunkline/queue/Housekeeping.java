package dev.trunkline.queue;

import dev.trunkline.inbox.InboxPruning;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.ProbeBudget;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;

/**
 * What has to be done now and then, by anybody: fold the tally, prune heartbeats and inboxes,
 * remove what late senders added to deleted queues. Runs in every process; row locks keep two from
 * doing the same.
 */
final class Housekeeping implements Step {
  private static final Duration BUSY = Duration.ofSeconds(1);
  private static final Duration IDLE = Duration.ofMinutes(1);
  private static final int FOLD_LIMIT = 20_000;
  private static final int PRUNE_LIMIT = 5_000;

  /** Fewer rows than this are not worth a fold. */
  private static final int WORTH_ANOTHER = 200;

  /** A transaction that is open for longer than this is counted late while the dead are many. */
  private static final Duration LONG_TRANSACTION = Duration.ofSeconds(15);

  private final Database database;
  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  /**
   * The lowest id that the last fold left: rows of longer transactions are found by a look at all.
   */
  private final LaggedMark folded = new LaggedMark(LONG_TRANSACTION, System::nanoTime);

  private final InboxPruning inboxes;
  private final SendPruning sends;
  private boolean morePruning;
  private long tidiedNanos = System.nanoTime() - IDLE.toNanos();

  Housekeeping(Database database) {
    this.database = database;
    this.inboxes = new InboxPruning(database);
    this.sends = new SendPruning(database);
  }

  @Override
  public Duration runOnce() {
    boolean busy = fold();
    if (System.nanoTime() - tidiedNanos >= IDLE.toNanos()) {
      tidiedNanos = System.nanoTime();
      database.run(ConsumerStore::pruneHeartbeats);
      removeLeftovers();
      morePruning = true;
    }
    // A backlog is worked off round by round, so that the fold is not held up.
    morePruning =
        morePruning
            && (inboxes.prune()
                | sends.prune()
                | database.run(session -> FlowStore.prune(session, PRUNE_LIMIT)));
    busy |= morePruning;
    return busy ? BUSY : IDLE;
  }

  /** Folds what was added since the last time. Answers whether there was much. */
  boolean fold() {
    long rows = 0;
    TallyStore.Folded step;
    do {
      boolean everything = budget.allows();
      long from = everything ? 0 : folded.before();
      long begin = System.nanoTime();
      step = database.run(session -> TallyStore.fold(session, from, FOLD_LIMIT));
      if (everything) {
        budget.spent(Duration.ofNanos(System.nanoTime() - begin));
      }
      if (step.rows() > 0) {
        folded.moveTo(step.first());
      }
      rows += step.rows();
    } while (step.rows() == FOLD_LIMIT);
    return rows > WORTH_ANOTHER;
  }

  /** Where the living rows of the tally begin, as far as this process knows. */
  long tallyFrom() {
    return folded.before();
  }

  private void removeLeftovers() {
    for (int queueId : database.run(QueueStore::deleted)) {
      new Purge(database, queueId).everything();
      database.run(
          session -> {
            QueueStore.forget(session, queueId);
            return true;
          });
    }
  }
}
