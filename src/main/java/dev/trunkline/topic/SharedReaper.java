package dev.trunkline.topic;

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
 * Takes back what members of shared groups never settled: leases whose visibility timeout is over,
 * and at once all leases of a member that has fallen silent. Runs in every process with members;
 * row locks decide who takes which lease.
 *
 * <p>A lost delivery counts like a failed one: it comes back after the group's back-off, or is dead
 * at the limit.
 */
final class SharedReaper implements Step {
  private static final Logger LOG = LoggerFactory.getLogger(SharedReaper.class);

  private static final Verdict LOST =
      new Verdict.Failed(Optional.empty(), null, DeathReason.LEASE_EXPIRED);

  private final Database database;
  private final DueTime expiry;
  private final Returned returned;

  private final TakingBack<Verdict> takingBack;

  /** Is told what waits again. */
  @FunctionalInterface
  interface Returned {
    void tell(int groupId, long soonestMs);
  }

  SharedReaper(Database database, DueTime expiry, Returned returned) {
    this.database = database;
    this.expiry = expiry;
    this.returned = returned;
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
   * Gives back, uncounted, whatever a member still holds, and removes it: one that stops in good
   * order. If a transaction has a lease of it locked, it stays until it has been silent for too
   * long.
   */
  void remove(long memberId) {
    takingBack.allOf(memberId, new Verdict.Released(Duration.ZERO));
    database.run(session -> SharedReapStore.remove(session, memberId));
  }

  private void buryTheSilent() {
    for (long memberId : database.run(SharedReapStore::silent)) {
      int leases = takingBack.allOf(memberId, LOST);
      if (!database.<Boolean>run(session -> SharedReapStore.remove(session, memberId))) {
        // Somebody has one locked at this moment. The member stays until it holds nothing.
        expiry.in(200);
        continue;
      }
      LOG.warn("member {} has fallen silent: {} leases were taken back", memberId, leases);
    }
  }

  private boolean takeBack(long leaseId, boolean orphaned, @Nullable Instant now, Verdict verdict) {
    Optional<SharedSorting.Result> result =
        database.inTransaction(
            session -> {
              List<SharedReapStore.TakenBack> taken =
                  SharedReapStore.takeBack(session, leaseId, orphaned, now);
              return taken.isEmpty()
                  ? Optional.empty()
                  : Optional.of(SharedSettler.reclaim(session, taken, verdict));
            });
    result.ifPresent(done -> done.soonestMs().ifPresent(ms -> returned.tell(done.groupId(), ms)));
    return result.isPresent();
  }

  private static final class Leases implements TakingBack.Leases {
    @Override
    public List<Long> expired(
        Session session, boolean everything, @Nullable Instant now, int limit) {
      return SharedReapStore.expired(session, everything, now, limit);
    }

    @Override
    public List<Long> heldBy(Session session, long memberId, int limit) {
      return SharedReapStore.heldBy(session, memberId, limit);
    }
  }
}
