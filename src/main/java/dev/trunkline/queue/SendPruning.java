package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import java.time.Duration;

/**
 * Forgets what senders need not have remembered any longer, in bounded steps: deduplication ids
 * whose window is over, and how far producers had come before they came further. Used by one
 * thread.
 */
final class SendPruning {
  private static final int STEP = 1_000;

  /** After so many the rest can wait for the next round: they only take up space. */
  private static final int STEPS = 50;

  /**
   * A look from the beginning walks what died, while a snapshot is held: it may take 2 % of the
   * time.
   */
  private static final int PAUSE_PER_COST = 50;

  private final Line duplicates;
  private final Line progress;

  SendPruning(Database database) {
    this.duplicates = new Line(database, SendPruningStore::duplicates);
    this.progress = new Line(database, SendPruningStore::progress);
  }

  /** One round. Answers whether there may be more. */
  boolean prune() {
    return duplicates.prune() | progress.prune();
  }

  /** Prunes rows from a time on, in milliseconds since 1970, at most so many. */
  private interface Statement {
    SendPruningStore.Pruned prune(Session session, long fromMs, int limit);
  }

  /** One table, and up to when it has been looked through. */
  private static final class Line {
    private final Database database;
    private final Statement statement;
    private long fromMs;
    private long lookFromTheBeginningNanos = System.nanoTime();

    Line(Database database, Statement statement) {
      this.database = database;
      this.statement = statement;
    }

    boolean prune() {
      long begin = System.nanoTime();
      boolean fromTheBeginning = begin - lookFromTheBeginningNanos >= 0;
      long from = fromTheBeginning ? 0 : fromMs;
      for (int step = 0; step < STEPS; step++) {
        long stepFrom = from;
        SendPruningStore.Pruned pruned =
            database.run(session -> statement.prune(session, stepFrom, STEP));
        if (fromTheBeginning && step == 0) {
          Duration cost = Duration.ofNanos(System.nanoTime() - begin);
          lookFromTheBeginningNanos =
              System.nanoTime() + cost.multipliedBy(PAUSE_PER_COST).toNanos();
        }
        from = pruned.upToMs();
        fromMs = Math.max(fromMs, from);
        if (pruned.seen() < STEP) {
          return false;
        }
      }
      return true;
    }
  }
}
