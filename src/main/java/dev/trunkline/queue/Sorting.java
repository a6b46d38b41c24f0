package dev.trunkline.queue;

import dev.trunkline.deadletter.DeadLetterStore;
import dev.trunkline.deadletter.Death;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Session;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Messages that were taken out of a lease, sorted by where they go; to be carried out in the same
 * transaction. Not thread-safe.
 */
final class Sorting {
  private final int queueId;
  private final RetryPolicy policy;
  private final Ordering ordering;
  private final Set<Long> ids = new HashSet<>();
  private final List<SettleStore.Returned> returned = new ArrayList<>();
  private final List<Death> deaths = new ArrayList<>();
  private final List<SettleStore.Held> expired = new ArrayList<>();

  private Sorting(int queueId, QueueConfig config) {
    this.queueId = queueId;
    this.policy = config.retryPolicy();
    this.ordering = config.ordering();
  }

  /**
   * Failures are rare: the policy is read afresh, so an altered queue is obeyed by every process at
   * once.
   */
  static Sorting of(Session session, int queueId) {
    return new Sorting(
        queueId,
        QueueStore.find(session, queueId).map(QueueRow::config).orElseGet(QueueConfig::defaults));
  }

  /** What was carried out, to be announced after the commit. */
  record Result(Set<Long> settled, List<Lanes.Announced> ready, Optional<Long> soonestMs) {
    static Result nothing() {
      return new Result(Set.of(), List.of(), Optional.empty());
    }

    void announce(Wakeups wakeups, int queueId) {
      wakeups.ready(queueId, ready);
      soonestMs.ifPresent(wakeups::dueIn);
    }
  }

  void add(SettleStore.Held held, Verdict verdict) {
    ids.add(held.id());
    if (verdict instanceof Verdict.Expired) {
      expired.add(held);
    } else if (verdict instanceof Verdict.Released released) {
      returned.add(back(held, held.deliveries(), released.after()));
    } else if (verdict instanceof Verdict.Dead dead) {
      addDead(held, dead);
    } else if (verdict instanceof Verdict.Failed failed) {
      addFailed(held, failed);
    } else if (verdict instanceof Verdict.Unsure unsure) {
      addFailed(held, unsure.ifHeld());
    }
  }

  /** A rejection is a failed attempt, too: the dead letter says how many there were. */
  private void addDead(SettleStore.Held held, Verdict.Dead dead) {
    if (givesUp(FailurePolicy.BLOCK) && dead.reason() != DeathReason.REJECTED) {
      addFailed(held, new Verdict.Failed(Optional.empty(), dead.error(), dead.reason()));
      return;
    }
    deaths.add(
        new Death(
            held.id(),
            held.deliveries() + 1,
            held.acquired(),
            dead.reason(),
            dead.detail(),
            dead.error()));
  }

  private void addFailed(SettleStore.Held held, Verdict.Failed failed) {
    int deliveries = held.deliveries() + 1;
    if (policy.isExhaustedBy(deliveries) && !givesUp(FailurePolicy.BLOCK)) {
      deaths.add(death(held, deliveries, failed.ifLast(), failed));
      return;
    }
    Duration delay =
        failed
            .after()
            .orElseGet(
                () -> policy.delayAfter(deliveries, ThreadLocalRandom.current()::nextDouble));
    returned.add(back(held, deliveries, delay));
  }

  /** Whether this is what becomes of messages that fail again and again. */
  private boolean givesUp(FailurePolicy failurePolicy) {
    return ordering instanceof Ordering.FifoByKey fifo && fifo.failurePolicy() == failurePolicy;
  }

  private static Death death(
      SettleStore.Held held, int deliveries, DeathReason reason, Verdict.Failed failed) {
    return new Death(held.id(), deliveries, held.acquired(), reason, null, failed.error());
  }

  private static SettleStore.Returned back(SettleStore.Held held, int deliveries, Duration delay) {
    return new SettleStore.Returned(held.id(), deliveries, held.acquired(), delay.toMillis());
  }

  /** Whether the key is to be parked: what it still has in a lease must not be delivered. */
  boolean parks() {
    return givesUp(FailurePolicy.PARK) && !deaths.isEmpty();
  }

  /** For messages of a lease without a key. */
  Result carryOut(Session session) {
    expire(session, false);
    List<Lanes.Announced> ready = new ArrayList<>();
    if (!returned.isEmpty()) {
      ready.addAll(
          ordering.isKeyed()
              ? KeyedSettleStore.putBackFair(session, queueId, returned)
              : SettleStore.putBack(session, queueId, returned));
    }
    bury(session);
    return new Result(ids, ready, soonestMs());
  }

  /** For messages of the lease of a key, whose baton is free if the lease has ended. */
  Result carryOut(Session session, KeyedSettleStore.Baton baton) {
    // None of them may come back: what is behind it may be with a handler.
    expire(session, true);
    if (!returned.isEmpty()) {
      KeyedSettleStore.putBackFifo(session, queueId, returned);
    }
    bury(session);
    if (!baton.ended()) {
      return new Result(ids, List.of(), Optional.empty());
    }
    if (parks()) {
      long head = Collections.min(deaths.stream().map(Death::messageId).toList());
      KeyStore.park(session, queueId, baton, head);
      return new Result(ids, List.of(), Optional.empty());
    }
    return new Result(ids, List.of(KeyStore.passOn(session, queueId, baton)), Optional.empty());
  }

  /** Unless it is certain, the database's clock has the last word. */
  private void expire(Session session, boolean certain) {
    if (expired.isEmpty()) {
      return;
    }
    Set<Long> over = new HashSet<>(ExpiryStore.expire(session, queueId, expired, certain));
    expired.stream()
        .filter(held -> !over.contains(held.id()) && !certain)
        .forEach(held -> returned.add(back(held, held.deliveries(), Duration.ZERO)));
  }

  private void bury(Session session) {
    if (!deaths.isEmpty()) {
      DeadLetterStore.bury(session, queueId, deaths);
    }
  }

  private Optional<Long> soonestMs() {
    return returned.stream()
        .map(SettleStore.Returned::delayMs)
        .filter(delay -> delay > 0)
        .min(Long::compare);
  }
}
