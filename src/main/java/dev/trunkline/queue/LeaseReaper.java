package dev.trunkline.queue;

import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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

  /** Leases looked up at a time; each is then taken back in a transaction of its own. */
  private static final int PAGE = 100;

  private static final Verdict LOST =
      new Verdict.Failed(Optional.empty(), null, DeathReason.LEASE_EXPIRED);

  private final Database database;
  private final Wakeups wakeups;
  private final DueTime expiry;

  /** Leases that failed the last time, so that each is logged once. */
  private final Set<Long> stuck = ConcurrentHashMap.newKeySet();

  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  LeaseReaper(Database database, Wakeups wakeups, DueTime expiry) {
    this.database = database;
    this.wakeups = wakeups;
    this.expiry = expiry;
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
    int reaped = 0;
    while (true) {
      boolean everything = budget.allows();
      long begin = System.nanoTime();
      List<Long> leases =
          database.run(session -> ReapStore.expired(session, everything, now, PAGE));
      if (everything) {
        budget.spent(Duration.ofNanos(System.nanoTime() - begin));
      }
      int taken = 0;
      for (long lease : leases) {
        taken += takeBack(lease, false, now, LOST) ? 1 : 0;
      }
      reaped += taken;
      if (leases.size() < PAGE || taken == 0) {
        return reaped;
      }
    }
  }

  /**
   * Gives back, uncounted, whatever a process still holds: its own, when it stops in good order.
   */
  void releaseAllOf(long consumerId) {
    takeBackAllOf(consumerId, new Verdict.Released(Duration.ZERO));
  }

  private void buryTheSilent() {
    for (long consumerId : database.run(ConsumerStore::silent)) {
      int leases = takeBackAllOf(consumerId, LOST);
      if (database.run(session -> ConsumerStore.remove(session, consumerId))) {
        LOG.warn("consumer {} has fallen silent: {} leases were taken back", consumerId, leases);
      }
    }
  }

  private int takeBackAllOf(long consumerId, Verdict verdict) {
    int all = 0;
    while (true) {
      List<Long> leases = database.run(session -> ReapStore.orphaned(session, consumerId, PAGE));
      int taken = 0;
      for (long lease : leases) {
        taken += takeBack(lease, true, null, verdict) ? 1 : 0;
      }
      all += taken;
      if (taken == 0) {
        return all;
      }
    }
  }

  /** One lease, one transaction: a lease that cannot be taken back holds up no other. */
  private boolean takeBack(long leaseId, boolean orphaned, @Nullable Instant now, Verdict verdict) {
    try {
      Optional<Reclaimed> reclaimed =
          database.inTransaction(
              session ->
                  ReapStore.takeBack(session, leaseId, orphaned, now)
                      .map(
                          lease ->
                              new Reclaimed(
                                  lease.queueId(), Settler.reclaim(session, lease, verdict))));
      reclaimed.ifPresent(done -> done.result().announce(wakeups, done.queueId()));
      stuck.remove(leaseId);
      return reclaimed.isPresent();
    } catch (dev.trunkline.error.DatabaseException e) {
      if (stuck.add(leaseId)) {
        LOG.warn("lease {} could not be taken back, it is tried again until it works", leaseId, e);
      }
      expiry.in(1_000);
      return false;
    }
  }

  private record Reclaimed(int queueId, Sorting.Result result) {}
}
