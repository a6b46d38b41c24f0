package dev.trunkline.queue;

import dev.trunkline.deadletter.DeadLetterStore;
import dev.trunkline.deadletter.Death;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Session;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Messages that were taken out of a lease in one transaction, sorted by where they go. Used by one
 * thread.
 */
final class Sorting {
  private final RetryPolicy policy;
  private final Set<Long> ids = new HashSet<>();
  private final List<SettleStore.Returned> returned = new ArrayList<>();
  private final List<Death> deaths = new ArrayList<>();
  private final List<SettleStore.Held> expired = new ArrayList<>();

  Sorting(RetryPolicy policy) {
    this.policy = policy;
  }

  void add(SettleStore.Held held, Verdict verdict) {
    ids.add(held.id());
    if (verdict instanceof Verdict.Expired) {
      expired.add(held);
    } else if (verdict instanceof Verdict.Released released) {
      returned.add(back(held, held.deliveries(), released.after()));
    } else if (verdict instanceof Verdict.Dead dead) {
      // A rejection is a failed attempt, too: the dead letter says how many there were.
      deaths.add(
          new Death(
              held.id(),
              held.deliveries() + 1,
              held.acquired(),
              dead.reason(),
              dead.detail(),
              dead.error()));
    } else if (verdict instanceof Verdict.Failed failed) {
      addFailed(held, failed);
    } else if (verdict instanceof Verdict.Unsure unsure) {
      addFailed(held, unsure.ifHeld());
    }
  }

  private void addFailed(SettleStore.Held held, Verdict.Failed failed) {
    int deliveries = held.deliveries() + 1;
    if (policy.isExhaustedBy(deliveries)) {
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

  private static Death death(
      SettleStore.Held held, int deliveries, DeathReason reason, Verdict.Failed failed) {
    return new Death(held.id(), deliveries, held.acquired(), reason, null, failed.error());
  }

  private static SettleStore.Returned back(SettleStore.Held held, int deliveries, Duration delay) {
    return new SettleStore.Returned(held.id(), deliveries, held.acquired(), delay.toMillis());
  }

  Settler.Result carryOut(Session session, int queueId) {
    if (!expired.isEmpty()) {
      // The database's clock has the last word.
      Set<Long> over = new HashSet<>(ExpiryStore.expire(session, queueId, expired));
      expired.stream()
          .filter(held -> !over.contains(held.id()))
          .forEach(held -> returned.add(back(held, held.deliveries(), Duration.ZERO)));
    }
    List<Lanes.Announced> ready =
        returned.isEmpty() ? List.of() : SettleStore.putBack(session, queueId, returned);
    if (!deaths.isEmpty()) {
      DeadLetterStore.bury(session, queueId, deaths);
    }
    Optional<Long> soonest =
        returned.stream()
            .map(SettleStore.Returned::delayMs)
            .filter(delay -> delay > 0)
            .min(Long::compare);
    return new Settler.Result(ids, ready, soonest);
  }
}
