package dev.trunkline.queue;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.SqlStates;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Makes an ack part of a transaction that is not only ours: it commits if the delivery was held to
 * the end, or not at all. Thread-safe.
 */
final class Fence {
  /*
   * The row of a lease stands for a whole batch. A transaction that lasts as long as a handler must not lock it: the
   * others of the batch could not be settled meanwhile, and a thread that settles two of them, one in its transaction and
   * one by itself, would wait for itself for ever. So a delivery is first given a lease of its own.
   */
  private final Database database;

  Fence(Database database) {
    this.database = database;
  }

  /** Gives each a lease of its own. Answers those that were still held. */
  List<Delivery> apart(List<Delivery> deliveries) {
    Map<Lease, List<Delivery>> byLease = new LinkedHashMap<>();
    deliveries.forEach(
        delivery ->
            byLease.computeIfAbsent(delivery.lease(), lease -> new ArrayList<>()).add(delivery));
    List<Delivery> held = new ArrayList<>(deliveries.size());
    byLease.forEach((lease, some) -> held.addAll(apart(lease, some)));
    return held;
  }

  private List<Delivery> apart(Lease lease, List<Delivery> some) {
    if (lease.open().size() == 1) {
      return some;
    }
    long[] ids = some.stream().mapToLong(delivery -> delivery.id().value()).toArray();
    Map<Long, Long> leases = database.run(session -> FenceStore.apart(session, lease.id(), ids));
    List<Delivery> held = new ArrayList<>(some.size());
    for (Delivery delivery : some) {
      long id = delivery.id().value();
      Long own = leases.get(id);
      lease.settled(List.of(id));
      if (own != null) {
        Lease apart = lease.apart(own, id);
        delivery.movedTo(apart);
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
  boolean hold(Session session, Delivery delivery) {
    Lease lease = delivery.lease();
    return FenceStore.hold(
        session, lease.id(), delivery.id().value(), Math.max(1, lease.hiddenFor().toMillis()));
  }

  /** Acks in the session's transaction. Answers whether the delivery was held. */
  boolean ack(Session session, Delivery delivery) {
    Lease lease = delivery.lease();
    return lease.isOfKey()
        ? !KeyedSettleStore.ackFenced(session, lease.id(), delivery.id().value()).ids().isEmpty()
        : FenceStore.ack(session, lease.id(), delivery.id().value());
  }

  /**
   * Sees to it that a settle does not wait for the transaction that the delivery was acked in: the
   * thread that has both would wait for itself.
   *
   * @throws IllegalStateException if that transaction has not ended
   */
  void requireEnded(Delivery delivery) {
    try {
      database.run(
          session -> {
            FenceStore.probe(session, delivery.lease().id());
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
}
