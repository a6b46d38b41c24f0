package dev.trunkline.topic;

import dev.trunkline.error.TrunklineException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.work.Fence;
import dev.trunkline.internal.work.HeldLease;
import dev.trunkline.topic.SharedSettleStore.Item;
import java.sql.Connection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out verdicts on the deliveries of a shared group. Thread-safe.
 *
 * <p>Every statement is fenced by the lease. What the lease no longer held is reported, never
 * silently dropped.
 */
final class SharedSettler {
  private static final Logger LOG = LoggerFactory.getLogger(SharedSettler.class);

  private final SharedEngine engine;
  private final Database database;
  private final Fence<SharedDelivery> fence;
  private final SharedMember member;
  private final int groupId;

  SharedSettler(SharedEngine engine, SharedMember member) {
    this.engine = engine;
    this.database = engine.database();
    this.fence = LeasedRecords.fence(database);
    this.member = member;
    this.groupId = member.group().id();
  }

  /** Settles one delivery for a caller who waits. */
  void settleNow(SharedDelivery delivery, Verdict verdict) {
    settleNow(List.of(new SharedSettlement(delivery, verdict)));
  }

  /**
   * Settles deliveries for a caller who waits; all that are held are settled, then the first lost
   * one is thrown.
   */
  void settleNow(List<SharedSettlement> settlements) {
    List<SharedSettlement> begun = new ArrayList<>(settlements.size());
    List<SharedDelivery> lost = new ArrayList<>();
    settlements.forEach(settlement -> fence.requireSettleable(settlement.delivery()));
    for (SharedSettlement settlement : settlements) {
      if (settlement.delivery().settling().begin()) {
        begun.add(settlement);
      } else {
        lost.add(settlement.delivery());
      }
    }
    try {
      lost.addAll(settle(begun));
    } catch (TrunklineException e) {
      begun.forEach(settlement -> settlement.delivery().settling().failed());
      throw e;
    }
    if (!lost.isEmpty()) {
      throw lost.get(0).leaseLost();
    }
  }

  /** Acks a delivery as part of the caller's transaction. */
  void ackIn(Connection connection, SharedDelivery delivery) {
    fence.ackIn(connection, delivery);
  }

  /**
   * Settles deliveries whose settling has begun. May be repeated after a failure: what was carried
   * out before the failure is then no longer held.
   *
   * @return those that were no longer held
   */
  List<SharedDelivery> settle(List<SharedSettlement> settlements) {
    Map<HeldLease, List<SharedSettlement>> byLease = new LinkedHashMap<>();
    for (SharedSettlement settlement : settlements) {
      byLease
          .computeIfAbsent(settlement.delivery().lease(), lease -> new ArrayList<>())
          .add(settlement);
    }
    List<SharedDelivery> lost = new ArrayList<>();
    Map<HeldLease, List<SharedDelivery>> whole = new LinkedHashMap<>();
    byLease.forEach(
        (lease, some) -> {
          List<SharedSettlement> others =
              some.stream().filter(s -> !(s.verdict() instanceof Verdict.Done)).toList();
          if (!others.isEmpty()) {
            lost.addAll(giveBack(lease, others));
          }
          List<SharedDelivery> acked =
              some.stream()
                  .filter(s -> s.verdict() instanceof Verdict.Done)
                  .map(SharedSettlement::delivery)
                  .toList();
          if (!acked.isEmpty() && ids(acked).containsAll(lease.open())) {
            whole.put(lease, acked);
          } else if (!acked.isEmpty()) {
            lost.addAll(ackSome(lease, acked));
          }
        });
    if (!whole.isEmpty()) {
      lost.addAll(ackAll(whole));
    }
    return lost;
  }

  private static Set<Long> ids(List<SharedDelivery> deliveries) {
    Set<Long> ids = new HashSet<>();
    deliveries.forEach(delivery -> ids.add(delivery.id()));
    return ids;
  }

  private static long[] array(Iterable<Long> ids) {
    List<Long> all = new ArrayList<>();
    ids.forEach(all::add);
    return all.stream().mapToLong(Long::longValue).toArray();
  }

  /** Takes ids out of a lease whose records compaction or retention has removed. */
  void dropMissing(HeldLease lease, List<Long> recordIds) {
    database.run(session -> SharedSettleStore.ackSome(session, lease.id(), array(recordIds)));
    lease.settled(recordIds);
  }

  /** Gives back what was claimed and could not be read; uncounted. */
  void releaseUnread(HeldLease lease) {
    Optional<SharedSorting.Result> result =
        database.inTransaction(
            session -> {
              List<Item> held = SharedSettleStore.take(session, lease.id(), array(lease.open()));
              SharedSorting sorting = new SharedSorting(SharedGroupStore.find(session, groupId));
              held.forEach(item -> sorting.add(item, new Verdict.Released(Duration.ZERO)));
              return held.isEmpty()
                  ? Optional.empty()
                  : Optional.of(sorting.carryOut(session, groupId));
            });
    lease.lose();
    result.flatMap(SharedSorting.Result::soonestMs).ifPresent(ms -> engine.returned(groupId, ms));
  }

  /** Hides whole leases for longer. Answers those that are still held. */
  List<Long> renew(long[] leaseIds, long visibilityTimeoutMs) {
    return database.run(
        session -> SharedSettleStore.extend(session, leaseIds, visibilityTimeoutMs));
  }

  /**
   * Hides one record for longer. In a batch it is given a lease of its own.
   *
   * @return the lease that holds it now
   */
  HeldLease extend(SharedDelivery delivery, Duration visibilityTimeout) {
    fence.requireEnded(delivery);
    HeldLease lease = delivery.lease();
    long id = delivery.id();
    long millis = visibilityTimeout.toMillis();
    if (lease.open().size() == 1 && lease.open().contains(id)) {
      if (renew(new long[] {lease.id()}, millis).isEmpty()) {
        lease.lose();
        throw delivery.leaseLost();
      }
      lease.extended(visibilityTimeout);
      lease.renewals().ifPresent(lease::renewBy);
      engine.expiry().in(millis);
      return lease;
    }
    Optional<Long> apart =
        database.inTransaction(
            session -> {
              List<Item> held = SharedSettleStore.take(session, lease.id(), new long[] {id});
              return held.isEmpty()
                  ? Optional.empty()
                  : Optional.of(
                      SharedSettleStore.leaseApart(
                          session, groupId, member.id(), held.get(0), millis));
            });
    lease.settled(List.of(id));
    if (apart.isEmpty()) {
      throw delivery.leaseLost();
    }
    HeldLease own = new HeldLease(apart.get(), visibilityTimeout, List.of(id));
    lease.renewals().ifPresent(own::renewBy);
    engine.expiry().in(millis);
    return own;
  }

  private List<SharedDelivery> ackAll(Map<HeldLease, List<SharedDelivery>> whole) {
    List<SharedSettleStore.Whole> leases = new ArrayList<>();
    whole.forEach((lease, acked) -> leases.add(asBelieved(lease, acked)));
    Set<Long> done =
        new HashSet<>(database.run(session -> SharedSettleStore.ackAll(session, leases)));
    List<SharedDelivery> lost = new ArrayList<>();
    whole.forEach(
        (lease, acked) -> {
          if (done.contains(lease.id())) {
            lease.open().clear();
            return;
          }
          // Lost, or a crash of the server has put back what had been settled before.
          List<SharedDelivery> missing = ackSome(lease, acked);
          if (missing.size() == acked.size()) {
            lease.lose();
          }
          lost.addAll(missing);
        });
    return lost;
  }

  private static SharedSettleStore.Whole asBelieved(HeldLease lease, List<SharedDelivery> acked) {
    Comparator<SharedDelivery> inOrder =
        Comparator.comparingLong(delivery -> delivery.record().offset());
    return new SharedSettleStore.Whole(
        lease.id(),
        ids(acked).size(),
        Collections.min(acked, inOrder).id(),
        Collections.max(acked, inOrder).id());
  }

  private List<SharedDelivery> ackSome(HeldLease lease, List<SharedDelivery> acked) {
    Set<Long> ids = ids(acked);
    Set<Long> held =
        new HashSet<>(
            database.run(session -> SharedSettleStore.ackSome(session, lease.id(), array(ids))));
    lease.settled(ids);
    return acked.stream().filter(delivery -> !held.contains(delivery.id())).toList();
  }

  private List<SharedDelivery> giveBack(HeldLease lease, List<SharedSettlement> settlements) {
    Map<Long, SharedSettlement> byId = new LinkedHashMap<>();
    settlements.forEach(settlement -> byId.put(settlement.delivery().id(), settlement));
    SharedSorting.Result result =
        database.inTransaction(
            session -> {
              List<Item> held = SharedSettleStore.take(session, lease.id(), array(byId.keySet()));
              if (held.isEmpty()) {
                return new SharedSorting.Result(groupId, Set.of(), Optional.empty());
              }
              SharedSorting sorting = new SharedSorting(SharedGroupStore.find(session, groupId));
              held.forEach(
                  item -> {
                    SharedSettlement settlement = byId.get(item.id());
                    if (settlement != null) {
                      sorting.add(item, settlement.verdict());
                    }
                  });
              return sorting.carryOut(session, groupId);
            });
    lease.settled(byId.keySet());
    result.soonestMs().ifPresent(ms -> engine.returned(groupId, ms));
    return settlements.stream()
        .filter(settlement -> !result.settled().contains(settlement.delivery().id()))
        .filter(this::isLost)
        .map(SharedSettlement::delivery)
        .toList();
  }

  /** What is no longer held because it was acked after all is not lost. */
  private boolean isLost(SharedSettlement settlement) {
    if (settlement.verdict() instanceof Verdict.Unsure) {
      LOG.info(
          "{}: {} is no longer held, so its commit took effect",
          member.group().title(),
          settlement.delivery());
      return false;
    }
    return true;
  }

  /**
   * Takes back a lease that was never settled: called by the reaper in a transaction of its own.
   */
  static SharedSorting.Result reclaim(
      Session session, List<SharedReapStore.TakenBack> taken, Verdict verdict) {
    int groupId = taken.get(0).groupId();
    SharedSorting sorting = new SharedSorting(SharedGroupStore.find(session, groupId));
    taken.forEach(back -> sorting.add(back.item(), verdict));
    return sorting.carryOut(session, groupId);
  }
}
