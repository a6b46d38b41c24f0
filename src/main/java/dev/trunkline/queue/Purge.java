package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;

/**
 * Empties a queue: ready, scheduled and in flight, in steps, round and round until a round finds
 * nothing.
 */
final class Purge {
  /** Runs, leases or scheduled messages per step. */
  private static final int STEP = 500;

  private final Database database;
  private final int queueId;

  Purge(Database database, int queueId) {
    this.database = database;
    this.queueId = queueId;
  }

  /**
   * What is there now; messages that are sent while it runs stay. Answers how many were removed.
   */
  long run() {
    return upTo(database.run(PurgeStore::newestId));
  }

  /** Everything, for a queue that has been deleted. */
  long everything() {
    long removed = upTo(Long.MAX_VALUE);
    database.run(
        session -> {
          PurgeStore.producers(session, queueId);
          PurgeStore.keys(session, queueId);
          return true;
        });
    return removed;
  }

  private long upTo(long newest) {
    long all = 0;
    long round;
    boolean again;
    // Before: what is sent from here on is no duplicate of what is about to be removed. After: what
    // was sent meanwhile, and removed, is forgotten, too.
    forget(newest);
    do {
      // A message moves from ready to lease and back through scheduled: in this order few slip
      // through a round.
      round =
          steps(session -> PurgeStore.ready(session, queueId, newest, STEP))
              + steps(session -> PurgeStore.line(session, queueId, newest, STEP))
              + steps(session -> PurgeStore.inFlight(session, queueId, newest, STEP))
              + steps(session -> PurgeStore.scheduled(session, queueId, newest, STEP));
      all += round;
      again = round > 0 || database.run(session -> PurgeStore.awaitLine(session, queueId, newest));
    } while (again);
    forget(newest);
    return all;
  }

  private void forget(long newest) {
    steps(session -> PurgeStore.remembered(session, queueId, newest, STEP));
  }

  private long steps(dev.trunkline.internal.db.Work<Long> step) {
    long all = 0;
    long removed;
    do {
      removed = database.run(step);
      all += removed;
    } while (removed > 0);
    return all;
  }
}
