package dev.trunkline.queue;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.work.Fence;
import dev.trunkline.internal.work.HeldLease;
import dev.trunkline.internal.work.Settling;
import java.util.Map;

/** What a {@link Fence} has to know of messages. Thread-safe. */
final class LeasedMessages implements Fence.Leased<Delivery> {
  static Fence<Delivery> fence(Database database) {
    return new Fence<>(database, new LeasedMessages());
  }

  @Override
  public HeldLease lease(Delivery delivery) {
    return delivery.lease();
  }

  @Override
  public long id(Delivery delivery) {
    return delivery.id().value();
  }

  @Override
  public Settling settling(Delivery delivery) {
    return delivery.settling();
  }

  @Override
  public LeaseLostException leaseLost(Delivery delivery) {
    return delivery.leaseLost();
  }

  @Override
  public Map<Long, Long> apart(Session session, long leaseId, long[] ids) {
    return FenceStore.apart(session, leaseId, ids);
  }

  @Override
  public HeldLease movedTo(Delivery delivery, long leaseId) {
    return delivery.movedTo(leaseId);
  }

  @Override
  public boolean hold(Session session, Delivery delivery, long idleMs) {
    return FenceStore.hold(session, delivery.lease().id(), id(delivery), idleMs);
  }

  @Override
  public boolean ack(Session session, Delivery delivery) {
    Lease lease = delivery.lease();
    return lease.isOfKey()
        ? !KeyedSettleStore.ackFenced(session, lease.id(), id(delivery)).ids().isEmpty()
        : FenceStore.ack(session, lease.id(), id(delivery));
  }

  @Override
  public void probe(Session session, long leaseId) {
    FenceStore.probe(session, leaseId);
  }
}
