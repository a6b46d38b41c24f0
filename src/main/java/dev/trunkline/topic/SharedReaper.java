package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.DatabaseException;
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
 * Takes back what members of shared groups never settled: leases whose visibility timeout is over,
 * and at once all leases of a member that has fallen silent. Runs in every process with members;
 * row locks decide who takes which lease.
 *
 * <p>A lost delivery counts like a failed one: it comes back after the group's back-off, or is dead
 * at the limit.
 */
final class SharedReaper implements Step {
  private static final Logger LOG = LoggerFactory.getLogger(SharedReaper.class);

  /** Leases looked up at a time; each is then taken back in a transaction of its own. */
  private static final int PAGE = 100;

  private static final Verdict LOST =
      new Verdict.Failed(Optional.empty(), null, DeathReason.LEASE_EXPIRED);

  private final Database database;
  private final DueTime expiry;
  private final Returned returned;

  /** Leases that failed the last time, so that each is logged once. */
  private final Set<Long> stuck = ConcurrentHashMap.newKeySet();

  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  /** Is told what waits again. */
  @FunctionalInterface
  interface Returned {
    void tell(int groupId, long soonestMs);
  }

  SharedReaper(Database database, DueTime expiry, Returned returned) {
    this.database = database;
    this.expiry = expiry;
    this.returned = returned;
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
          database.run(session -> SharedReapStore.expired(session, everything, now, PAGE));
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

  /** Gives back, uncounted, whatever a member still holds: one that stops in good order. */
  void releaseAllOf(long memberId) {
    takeBackAllOf(memberId, new Verdict.Released(Duration.ZERO));
  }

  private void buryTheSilent() {
    for (long memberId : database.run(SharedReapStore::silent)) {
      int leases = takeBackAllOf(memberId, LOST);
      if (!database.run(session -> SharedReapStore.heldBy(session, memberId, 1)).isEmpty()) {
        // Somebody has one locked at this moment. The member stays until it holds nothing.
        expiry.in(200);
        continue;
      }
      database.run(
          session -> {
            MemberStore.leave(session, memberId);
            return true;
          });
      LOG.warn("member {} has fallen silent: {} leases were taken back", memberId, leases);
    }
  }

  private int takeBackAllOf(long memberId, Verdict verdict) {
    int all = 0;
    while (true) {
      List<Long> leases = database.run(session -> SharedReapStore.heldBy(session, memberId, PAGE));
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
      Optional<SharedSettler.Result> result =
          database.inTransaction(
              session -> {
                List<SharedReapStore.TakenBack> taken =
                    SharedReapStore.takeBack(session, leaseId, orphaned, now);
                return taken.isEmpty()
                    ? Optional.empty()
                    : Optional.of(SharedSettler.reclaim(session, taken, verdict));
              });
      result.ifPresent(done -> done.soonestMs().ifPresent(ms -> returned.tell(done.groupId(), ms)));
      stuck.remove(leaseId);
      return result.isPresent();
    } catch (DatabaseException e) {
      if (stuck.add(leaseId)) {
        LOG.warn("lease {} could not be taken back, it is tried again until it works", leaseId, e);
      }
      expiry.in(1_000);
      return false;
    }
  }
}
