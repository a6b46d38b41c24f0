package dev.trunkline.topic;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.work.Fence;
import dev.trunkline.internal.work.HeldLease;
import dev.trunkline.internal.work.Settling;
import java.util.Map;

/** What a {@link Fence} has to know of the records of shared groups. Thread-safe. */
final class LeasedRecords implements Fence.Leased<SharedDelivery> {
  static Fence<SharedDelivery> fence(Database database) {
    return new Fence<>(database, new LeasedRecords());
  }

  @Override
  public HeldLease lease(SharedDelivery delivery) {
    return delivery.lease();
  }

  @Override
  public long id(SharedDelivery delivery) {
    return delivery.id();
  }

  @Override
  public Settling settling(SharedDelivery delivery) {
    return delivery.settling();
  }

  @Override
  public LeaseLostException leaseLost(SharedDelivery delivery) {
    return delivery.leaseLost();
  }

  @Override
  public Map<Long, Long> apart(Session session, long leaseId, long[] ids) {
    return SharedFenceStore.apart(session, leaseId, ids);
  }

  @Override
  public HeldLease movedTo(SharedDelivery delivery, long leaseId) {
    return delivery.movedTo(leaseId);
  }

  @Override
  public boolean hold(Session session, SharedDelivery delivery, long idleMs) {
    return SharedFenceStore.hold(session, delivery.lease().id(), delivery.id(), idleMs);
  }

  @Override
  public boolean ack(Session session, SharedDelivery delivery) {
    return SharedFenceStore.ack(session, delivery.lease().id(), delivery.id());
  }

  @Override
  public void probe(Session session, long leaseId) {
    SharedFenceStore.probe(session, leaseId);
  }
}
