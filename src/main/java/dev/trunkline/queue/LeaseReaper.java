package dev.trunkline.queue;

import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.Step;
import dev.trunkline.internal.work.TakingBack;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes back what was never settled: leases whose visibility timeout is over, and at once all
 * leases of a process that has fallen silent. Runs in every process; row locks decide who takes
 * which lease.
 *
 * <p>A lost delivery counts like a failed one: it comes back after the queue's back-off, or is dead
 * at the limit, so that a message that kills its consumer each time ends in the dead letters.
 */
final class LeaseReaper implements Step {
  private static final Logger LOG = LoggerFactory.getLogger(LeaseReaper.class);

  private static final Verdict LOST =
      new Verdict.Failed(Optional.empty(), null, DeathReason.LEASE_EXPIRED);

  private final Database database;
  private final Wakeups wakeups;
  private final DueTime expiry;

  private final TakingBack<Verdict> takingBack;

  LeaseReaper(Database database, Wakeups wakeups, DueTime expiry) {
    this.database = database;
    this.wakeups = wakeups;
    this.expiry = expiry;
    this.takingBack = new TakingBack<>(database, expiry, new Leases(), this::takeBack);
  }

  @Override
  public Duration runOnce() {
    Duration remaining = expiry.remaining();
    if (!remaining.isZero()) {
      return remaining;
    }
    expiry.clear();
    buryTheSilent();
    reapExpired(null);
    return expiry.remaining();
  }

  /**
   * Takes back all that has expired; now null means the database's clock. Answers how many leases.
   */
  int reapExpired(@Nullable Instant now) {
    return takingBack.expired(now, LOST);
  }

  /**
   * Gives back, uncounted, whatever a process still holds: its own, when it stops in good order.
   */
  void releaseAllOf(long consumerId) {
    takingBack.allOf(consumerId, new Verdict.Released(Duration.ZERO));
  }

  private void buryTheSilent() {
    for (long consumerId : database.run(ConsumerStore::silent)) {
      int leases = takingBack.allOf(consumerId, LOST);
      if (database.run(session -> ConsumerStore.remove(session, consumerId))) {
        LOG.warn("consumer {} has fallen silent: {} leases were taken back", consumerId, leases);
      }
    }
  }

  private boolean takeBack(long leaseId, boolean orphaned, @Nullable Instant now, Verdict verdict) {
    Optional<Reclaimed> reclaimed =
        database.inTransaction(
            session ->
                ReapStore.takeBack(session, leaseId, orphaned, now)
                    .map(
                        lease ->
                            new Reclaimed(
                                lease.queueId(), Settler.reclaim(session, lease, verdict))));
    reclaimed.ifPresent(done -> done.result().announce(wakeups, done.queueId()));
    return reclaimed.isPresent();
  }

  private static final class Leases implements TakingBack.Leases {
    @Override
    public List<Long> expired(
        Session session, boolean everything, @Nullable Instant now, int limit) {
      return ReapStore.expired(session, everything, now, limit);
    }

    @Override
    public List<Long> heldBy(Session session, long consumerId, int limit) {
      return ReapStore.orphaned(session, consumerId, limit);
    }
  }

  private record Reclaimed(int queueId, Sorting.Result result) {}
}
