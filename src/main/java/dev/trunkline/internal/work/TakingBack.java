package dev.trunkline.internal.work;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes back leases that nobody will settle, page by page, each in a transaction of its own: one
 * that cannot be taken back holds up no other. Thread-safe.
 *
 * @param <V> what becomes of what they held
 */
public final class TakingBack<V> {
  private static final Logger LOG = LoggerFactory.getLogger(TakingBack.class);

  /** Leases looked up at a time. */
  private static final int PAGE = 100;

  private static final long AGAIN_MS = 1_000;

  private final Database database;
  private final DueTime expiry;
  private final Leases leases;
  private final One<V> one;

  /** Leases that failed the last time, so that each is logged once. */
  private final Set<Long> stuck = ConcurrentHashMap.newKeySet();

  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  /** Finds leases. Those that somebody has locked at the moment need not be among them. */
  public interface Leases {
    /** Some that have expired, oldest first; now null means the database's clock. */
    List<Long> expired(Session session, boolean everything, @Nullable Instant now, int limit);

    /** Some that a holder has, expired or not. */
    List<Long> heldBy(Session session, long holderId, int limit);
  }

  /** Takes one lease back. */
  @FunctionalInterface
  public interface One<V> {
    /**
     * In a transaction of its own, and tells whom it concerns.
     *
     * @param orphaned whether it is taken though it has not expired
     * @return whether it did; not if it has been settled, extended, or is locked
     */
    boolean takeBack(long leaseId, boolean orphaned, @Nullable Instant now, V verdict);
  }

  /**
   * For one kind of leases.
   *
   * @param expiry is told when to try again what failed
   */
  public TakingBack(Database database, DueTime expiry, Leases leases, One<V> one) {
    this.database = database;
    this.expiry = expiry;
    this.leases = leases;
    this.one = one;
  }

  /**
   * Takes back all that has expired; now null means the database's clock. Answers how many leases.
   */
  public int expired(@Nullable Instant now, V verdict) {
    int reaped = 0;
    while (true) {
      boolean everything = budget.allows();
      long begin = System.nanoTime();
      List<Long> page = database.run(session -> leases.expired(session, everything, now, PAGE));
      if (everything) {
        budget.spent(Duration.ofNanos(System.nanoTime() - begin));
      }
      int taken = takeBack(page, false, now, verdict);
      reaped += taken;
      if (page.size() < PAGE || taken == 0) {
        return reaped;
      }
    }
  }

  /** Takes back all that a holder has. Answers how many leases. */
  public int allOf(long holderId, V verdict) {
    int all = 0;
    while (true) {
      List<Long> page = database.run(session -> leases.heldBy(session, holderId, PAGE));
      int taken = takeBack(page, true, null, verdict);
      all += taken;
      if (taken == 0) {
        return all;
      }
    }
  }

  private int takeBack(List<Long> page, boolean orphaned, @Nullable Instant now, V verdict) {
    int taken = 0;
    for (long lease : page) {
      taken += takeBack(lease, orphaned, now, verdict) ? 1 : 0;
    }
    return taken;
  }

  private boolean takeBack(long leaseId, boolean orphaned, @Nullable Instant now, V verdict) {
    try {
      boolean taken = one.takeBack(leaseId, orphaned, now, verdict);
      stuck.remove(leaseId);
      return taken;
    } catch (DatabaseException e) {
      if (stuck.add(leaseId)) {
        LOG.warn("lease {} could not be taken back, it is tried again until it works", leaseId, e);
      }
      expiry.in(AGAIN_MS);
      return false;
    }
  }
}
