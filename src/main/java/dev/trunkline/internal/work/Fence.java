package dev.trunkline.internal.work;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.SqlStates;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Makes an ack part of a transaction that is not only ours: it commits if the delivery was held to
 * the end, or not at all. Thread-safe.
 *
 * @param <D> what a delivery is
 */
public final class Fence<D> {
  /*
   * The row of a lease stands for a whole batch. A transaction that lasts as long as a handler must not lock it: the
   * others of the batch could not be settled meanwhile, and a thread that settles two of them, one in its transaction and
   * one by itself, would wait for itself for ever. So a delivery is first given a lease of its own.
   */
  private final Database database;
  private final Leased<D> leased;

  /** A kind of deliveries, and how their leases are kept in the database. */
  public interface Leased<D> {
    /** The lease that holds it now. */
    HeldLease lease(D delivery);

    /** By what the lease knows it. */
    long id(D delivery);

    /** Who settles it. */
    Settling settling(D delivery);

    /** The lease does not hold it. */
    LeaseLostException leaseLost(D delivery);

    /** Gives some of what a lease holds leases of their own. Answers these, by what each holds. */
    Map<Long, Long> apart(Session session, long leaseId, long[] ids);

    /** It is held by a lease of its own from now on, of this id. Answers that. */
    HeldLease movedTo(D delivery, long leaseId);

    /**
     * Locks the lease until the session's transaction ends. Answers whether it holds the delivery.
     *
     * @param idleMs for how long the transaction may be idle before the server ends it
     */
    boolean hold(Session session, D delivery, long idleMs);

    /** Acks in the session's transaction. Answers whether the delivery was held. */
    boolean ack(Session session, D delivery);

    /** Fails at once, rather than waits, if a transaction has the lease locked. */
    void probe(Session session, long leaseId);
  }

  /** For one kind of deliveries. */
  public Fence(Database database, Leased<D> leased) {
    this.database = database;
    this.leased = leased;
  }

  /** Gives each a lease of its own. Answers those that were still held. */
  public List<D> apart(List<D> deliveries) {
    Map<HeldLease, List<D>> byLease = new LinkedHashMap<>();
    deliveries.forEach(
        delivery ->
            byLease
                .computeIfAbsent(leased.lease(delivery), lease -> new ArrayList<>())
                .add(delivery));
    List<D> held = new ArrayList<>(deliveries.size());
    byLease.forEach((lease, some) -> held.addAll(apart(lease, some)));
    return held;
  }

  private List<D> apart(HeldLease lease, List<D> some) {
    if (lease.open().size() == 1) {
      return some;
    }
    long[] ids = some.stream().mapToLong(leased::id).toArray();
    Map<Long, Long> leases = database.run(session -> leased.apart(session, lease.id(), ids));
    List<D> held = new ArrayList<>(some.size());
    for (D delivery : some) {
      long id = leased.id(delivery);
      Long own = leases.get(id);
      lease.settled(List.of(id));
      if (own != null) {
        HeldLease apart = leased.movedTo(delivery, own);
        lease.renewals().ifPresent(apart::renewBy);
        held.add(delivery);
      }
    }
    return held;
  }

  /**
   * Holds the delivery until the session's transaction ends; first statement of that. Answers
   * whether it was held.
   */
  public boolean hold(Session session, D delivery) {
    long idleMs = Math.max(1, leased.lease(delivery).hiddenFor().toMillis());
    return leased.hold(session, delivery, idleMs);
  }

  /** Acks in the session's transaction. Answers whether the delivery was held. */
  boolean ack(Session session, D delivery) {
    return leased.ack(session, delivery);
  }

  /**
   * Acks as part of the caller's transaction.
   *
   * @throws LeaseLostException if it is not held, or was settled before
   * @throws IllegalStateException if its handler's transaction is to ack it
   */
  public void ackIn(Connection connection, D delivery) {
    Settling settling = leased.settling(delivery);
    settling.requireOwn(delivery);
    if (settling.hasBegun() || apart(List.of(delivery)).isEmpty()) {
      throw leased.leaseLost(delivery);
    }
    settling.ackedInTransaction();
    if (!database.<Boolean>on(connection, session -> leased.ack(session, delivery))) {
      throw leased.leaseLost(delivery);
    }
  }

  /**
   * That the delivery's own methods may settle it.
   *
   * @throws IllegalStateException if its handler's transaction does, or a caller's may yet
   */
  public void requireSettleable(D delivery) {
    leased.settling(delivery).requireOwn(delivery);
    if (!leased.settling(delivery).hasBegun()) {
      requireEnded(delivery);
    }
  }

  /**
   * Sees to it that a settle does not wait for the transaction that the delivery was acked in, if
   * it was: the thread that has both would wait for itself.
   *
   * @throws IllegalStateException if that transaction has not ended
   */
  public void requireEnded(D delivery) {
    if (!leased.settling(delivery).isAckedInTransaction()) {
      return;
    }
    try {
      database.run(
          session -> {
            leased.probe(session, leased.lease(delivery).id());
            return true;
          });
    } catch (DatabaseException e) {
      if (SqlStates.isLocked(e)) {
        throw new IllegalStateException(
            delivery + " was acked in a transaction that has not ended yet", e);
      }
      throw e;
    }
  }

  /** Who settles it. */
  Settling settling(D delivery) {
    return leased.settling(delivery);
  }

  /** The ack is made: from here on there is nothing to renew, whatever becomes of the commit. */
  void acked(D delivery) {
    leased.lease(delivery).settled(List.of(leased.id(delivery)));
  }

  /** It was not held any longer. */
  LeaseLostException lost(D delivery) {
    leased.lease(delivery).lose();
    return leased.leaseLost(delivery);
  }
}
