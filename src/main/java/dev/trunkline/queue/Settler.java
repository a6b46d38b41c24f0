package dev.trunkline.queue;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.work.Fence;
import java.sql.Connection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out verdicts: the last step of a delivery, and the only one that ends a message.
 * Thread-safe.
 *
 * <p>Every statement is fenced by the lease. What the lease no longer held is reported, never
 * silently dropped.
 */
final class Settler {
  private static final Logger LOG = LoggerFactory.getLogger(Settler.class);

  private final Database database;
  private final Fence<Delivery> fence;
  private final Wakeups wakeups;
  private final ConsumerIdentity consumer;

  Settler(Database database, Wakeups wakeups, ConsumerIdentity consumer) {
    this.database = database;
    this.fence = LeasedMessages.fence(database);
    this.wakeups = wakeups;
    this.consumer = consumer;
  }

  /** Settles one delivery for a caller who waits. */
  void settleNow(Delivery delivery, Verdict verdict) {
    settleNow(List.of(new Settlement(delivery, verdict)));
  }

  /**
   * Settles deliveries for a caller who waits; all that are held are settled, then the first lost
   * one is thrown.
   */
  void settleNow(List<Settlement> settlements) {
    List<Settlement> begun = new ArrayList<>(settlements.size());
    List<Delivery> lost = new ArrayList<>();
    settlements.forEach(settlement -> fence.requireSettleable(settlement.delivery()));
    for (Settlement settlement : settlements) {
      Delivery delivery = settlement.delivery();
      delivery.breaksOffBy(settlement.verdict());
      if (delivery.settling().begin()) {
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
  void ackIn(Connection connection, Delivery delivery) {
    requireAlone(delivery);
    fence.ackIn(connection, delivery);
  }

  /** Two leases of one key would be two batons. */
  private static void requireAlone(Delivery delivery) {
    Lease lease = delivery.lease();
    if (lease.isOfKey() && lease.open().size() > 1) {
      throw new IllegalStateException(
          "%s was received together with others of its key, and cannot be acked in a transaction of its own: receive with maxMessages 1, or settle the others first"
              .formatted(delivery));
    }
  }

  /**
   * Settles deliveries whose settling has begun. May be repeated after a failure: what was carried
   * out before the failure is then no longer held.
   *
   * @return those that were no longer held
   */
  List<Delivery> settle(List<Settlement> settlements) {
    Map<Lease, List<Settlement>> byLease = new LinkedHashMap<>();
    for (Settlement settlement : settlements) {
      byLease
          .computeIfAbsent(settlement.delivery().lease(), lease -> new ArrayList<>())
          .add(settlement);
    }
    List<Delivery> lost = new ArrayList<>();
    Map<Lease, Set<Long>> whole = new LinkedHashMap<>();
    byLease.forEach(
        (lease, some) -> {
          List<Settlement> others =
              some.stream().filter(s -> !(s.verdict() instanceof Verdict.Done)).toList();
          if (!others.isEmpty()) {
            lost.addAll(giveBack(lease, others));
          }
          Set<Long> acked = new HashSet<>();
          some.stream()
              .filter(s -> s.verdict() instanceof Verdict.Done)
              .forEach(s -> acked.add(s.delivery().id().value()));
          if (!acked.isEmpty() && acked.containsAll(lease.open())) {
            whole.put(lease, acked);
          } else if (!acked.isEmpty()) {
            lost.addAll(ackSome(lease, acked, some));
          }
        });
    if (!whole.isEmpty()) {
      lost.addAll(ackAll(whole, byLease));
    }
    return lost;
  }

  /** Takes ids out of a lease whose messages are gone: they were removed while they were ready. */
  void dropMissing(Lease lease, List<Long> messageIds) {
    long[] ids = messageIds.stream().mapToLong(Long::longValue).toArray();
    ackIn(lease, ids);
    lease.settled(messageIds);
  }

  /**
   * Ends deliveries whose time is over, before anybody has seen them. If that fails they stay in
   * their lease, and come back when it ends.
   */
  void dropExpired(List<Settlement> expired) {
    if (expired.isEmpty()) {
      return;
    }
    expired.forEach(settlement -> settlement.delivery().settling().begin());
    try {
      settle(expired);
    } catch (DatabaseException e) {
      LOG.warn("{}: what has expired could not be removed", expired.get(0).delivery().queue(), e);
    }
  }

  /**
   * Hides one message for longer. In a batch it is given a lease of its own; but the messages of a
   * key stay together.
   *
   * @return the lease that holds it now
   */
  Lease extend(Delivery delivery, Duration visibilityTimeout) {
    fence.requireEnded(delivery);
    Lease lease = delivery.lease();
    long id = delivery.id().value();
    long millis = visibilityTimeout.toMillis();
    if (lease.isOfKey() || (lease.open().size() == 1 && lease.open().contains(id))) {
      boolean held =
          !database
              .run(session -> SettleStore.extend(session, new long[] {lease.id()}, millis))
              .isEmpty();
      if (!held) {
        lease.lose();
        throw delivery.leaseLost();
      }
      lease.extended(visibilityTimeout);
      lease.renewals().ifPresent(lease::renewBy);
      return lease;
    }
    Optional<Long> apart =
        database.inTransaction(
            session -> {
              List<SettleStore.Held> held = SettleStore.take(session, lease.id(), new long[] {id});
              return held.isEmpty()
                  ? Optional.empty()
                  : Optional.of(
                      SettleStore.leaseApart(
                          session, consumer.id(), lease.queueId(), held.get(0), millis));
            });
    lease.settled(List.of(id));
    if (apart.isEmpty()) {
      throw delivery.leaseLost();
    }
    Lease own = new Lease(apart.get(), lease.queueId(), visibilityTimeout, List.of(id));
    lease.renewals().ifPresent(own::renewBy);
    return own;
  }

  /** Hides whole leases for longer. Answers those that are still held. */
  List<Long> renew(long[] leaseIds, long visibilityTimeoutMs) {
    return database.run(session -> SettleStore.extend(session, leaseIds, visibilityTimeoutMs));
  }

  private List<Delivery> ackAll(Map<Lease, Set<Long>> whole, Map<Lease, List<Settlement>> byLease) {
    Set<Long> done = new HashSet<>(deleteWhole(whole, false));
    done.addAll(deleteWhole(whole, true));
    List<Delivery> lost = new ArrayList<>();
    whole.forEach(
        (lease, acked) -> {
          if (done.contains(lease.id())) {
            lease.open().clear();
            return;
          }
          // Lost, or a crash of the server has put back what had been settled before.
          List<Delivery> missing = ackSome(lease, acked, byLease.getOrDefault(lease, List.of()));
          if (missing.size() == acked.size()) {
            lease.lose();
          }
          lost.addAll(missing);
        });
    return lost;
  }

  /** Answers the leases that were deleted, of those with a key or of those without. */
  private List<Long> deleteWhole(Map<Lease, Set<Long>> whole, boolean ofKeys) {
    List<Lease> leases = whole.keySet().stream().filter(l -> l.isOfKey() == ofKeys).toList();
    if (leases.isEmpty()) {
      return List.of();
    }
    long[] ids = leases.stream().mapToLong(Lease::id).toArray();
    int[] counts = leases.stream().mapToInt(l -> whole.getOrDefault(l, Set.of()).size()).toArray();
    if (!ofKeys) {
      return database.run(session -> SettleStore.ackAll(session, ids, counts));
    }
    KeyedSettleStore.Acked acked =
        database.run(session -> KeyedSettleStore.ackAll(session, ids, counts));
    leases.stream()
        .map(Lease::queueId)
        .distinct()
        .forEach(queueId -> wakeups.ready(queueId, acked.turns()));
    return acked.ids();
  }

  /** Answers the messages that were still held. */
  private List<Long> ackIn(Lease lease, long[] ids) {
    if (!lease.isOfKey()) {
      return database.run(session -> SettleStore.ackSome(session, lease.id(), ids));
    }
    KeyedSettleStore.Acked acked =
        database.run(session -> KeyedSettleStore.ackSome(session, lease.id(), ids));
    wakeups.ready(lease.queueId(), acked.turns());
    return acked.ids();
  }

  private List<Delivery> ackSome(Lease lease, Set<Long> acked, List<Settlement> settlements) {
    long[] ids = acked.stream().mapToLong(Long::longValue).toArray();
    Set<Long> held = new HashSet<>(ackIn(lease, ids));
    lease.settled(acked);
    return settlements.stream()
        .filter(settlement -> settlement.verdict() instanceof Verdict.Done)
        .map(Settlement::delivery)
        .filter(delivery -> !held.contains(delivery.id().value()))
        .toList();
  }

  private List<Delivery> giveBack(Lease lease, List<Settlement> settlements) {
    Map<Long, Settlement> byId = new LinkedHashMap<>();
    settlements.forEach(settlement -> byId.put(settlement.delivery().id().value(), settlement));
    Sorting.Result result =
        database.inTransaction(
            session ->
                lease.isOfKey()
                    ? giveBackOfKey(session, lease, byId)
                    : giveBack(session, lease, byId));
    lease.settled(byId.keySet());
    result.announce(wakeups, lease.queueId());
    return settlements.stream()
        .filter(settlement -> !result.settled().contains(settlement.delivery().id().value()))
        .filter(Settler::isLost)
        .map(Settlement::delivery)
        .toList();
  }

  private static Sorting.Result giveBack(Session session, Lease lease, Map<Long, Settlement> byId) {
    List<SettleStore.Held> held = SettleStore.take(session, lease.id(), ids(byId));
    if (held.isEmpty()) {
      return Sorting.Result.nothing();
    }
    return sorted(session, lease, held, byId).carryOut(session);
  }

  /** If the key is parked by it, nothing of it stays in the lease. */
  private static Sorting.Result giveBackOfKey(
      Session session, Lease lease, Map<Long, Settlement> byId) {
    KeyedSettleStore.Taken taken = KeyedSettleStore.take(session, lease.id(), ids(byId), false);
    if (taken.held().isEmpty()) {
      return Sorting.Result.nothing();
    }
    Sorting sorting = sorted(session, lease, taken.held(), byId);
    KeyedSettleStore.Baton baton = taken.baton().get(0);
    if (sorting.parks() && !baton.ended()) {
      KeyedSettleStore.Taken rest = KeyedSettleStore.take(session, lease.id(), new long[0], true);
      rest.held().forEach(item -> sorting.add(item, new Verdict.Released(Duration.ZERO)));
      return sorting.carryOut(session, rest.baton().get(0));
    }
    return sorting.carryOut(session, baton);
  }

  private static long[] ids(Map<Long, Settlement> byId) {
    return byId.keySet().stream().mapToLong(Long::longValue).toArray();
  }

  private static Sorting sorted(
      Session session, Lease lease, List<SettleStore.Held> held, Map<Long, Settlement> byId) {
    Sorting sorting = Sorting.of(session, lease.queueId());
    held.forEach(
        item -> {
          Settlement settlement = byId.get(item.id());
          if (settlement != null) {
            sorting.add(item, settlement.verdict());
          }
        });
    return sorting;
  }

  /** What is no longer held because it was acked after all is not lost. */
  private static boolean isLost(Settlement settlement) {
    if (settlement.verdict() instanceof Verdict.Unsure) {
      LOG.info(
          "{}: {} is no longer held, so its commit took effect",
          settlement.delivery().queue(),
          settlement.delivery());
      return false;
    }
    return true;
  }

  /**
   * Takes back a lease that was never settled: called by the reaper in a transaction of its own.
   */
  static Sorting.Result reclaim(Session session, ReapStore.TakenBack lease, Verdict verdict) {
    Sorting sorting = Sorting.of(session, lease.queueId());
    for (int i = 0; i < lease.ids().length; i++) {
      sorting.add(
          new SettleStore.Held(lease.ids()[i], lease.deliveries()[i], lease.acquired()[i]),
          verdict);
    }
    return lease.key() == null
        ? sorting.carryOut(session)
        : sorting.carryOut(session, KeyedSettleStore.Baton.ofEnded(lease.key()));
  }
}
