package dev.trunkline.inbox;

import dev.trunkline.internal.db.Database;
import java.time.Duration;

/**
 * Forgets what inboxes need not remember any longer, in bounded steps. For the library. Used by one
 * thread.
 */
public final class InboxPruning {
  private static final int STEP = 1_000;

  /** After so many the rest can wait for the next round: they only take up space. */
  private static final int STEPS = 50;

  /**
   * A look from the beginning walks what died, while a snapshot is held: it may take 2 % of the
   * time.
   */
  private static final int PAUSE_PER_COST = 50;

  private final Database database;
  private long fromMs;
  private long lookFromTheBeginningNanos = System.nanoTime();

  /** For this database. */
  public InboxPruning(Database database) {
    this.database = database;
  }

  /** One round. Answers whether there may be more. */
  public boolean prune() {
    long begin = System.nanoTime();
    boolean fromTheBeginning = begin - lookFromTheBeginningNanos >= 0;
    long from = fromTheBeginning ? 0 : fromMs;
    for (int step = 0; step < STEPS; step++) {
      long stepFrom = from;
      InboxStore.Pruned pruned = database.run(session -> InboxStore.prune(session, stepFrom, STEP));
      if (fromTheBeginning && step == 0) {
        Duration cost = Duration.ofNanos(System.nanoTime() - begin);
        lookFromTheBeginningNanos = System.nanoTime() + cost.multipliedBy(PAUSE_PER_COST).toNanos();
      }
      from = pruned.upToMs();
      fromMs = Math.max(fromMs, from);
      if (pruned.count() < STEP) {
        return false;
      }
    }
    return true;
  }
}
