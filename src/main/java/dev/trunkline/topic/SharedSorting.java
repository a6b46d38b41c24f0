package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Session;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.topic.SharedSettleStore.Item;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Records that were taken out of a lease, sorted by where they go. Not thread-safe. */
final class SharedSorting {
  private static final Logger LOG = LoggerFactory.getLogger(SharedSorting.class);

  private final Optional<SharedGroupRow> group;
  private final RetryPolicy policy;
  private final Set<Long> ids = new HashSet<>();
  private final List<SharedSettleStore.Returned> returned = new ArrayList<>();
  private final List<SharedDeathStore.Death> deaths = new ArrayList<>();

  /**
   * Failures are rare: the policy is read afresh, so an altered group is obeyed by every process at
   * once.
   */
  SharedSorting(Optional<SharedGroupRow> group) {
    this.group = group;
    this.policy = group.map(row -> row.agreed().retryPolicy()).orElseGet(RetryPolicy::defaults);
  }

  void add(Item item, Verdict verdict) {
    ids.add(item.id());
    if (verdict instanceof Verdict.Released released) {
      returned.add(back(item, item.deliveries(), released.after()));
    } else if (verdict instanceof Verdict.Dead dead) {
      // A rejection is a failed attempt, too: the dead letter says how many there were.
      deaths.add(
          new SharedDeathStore.Death(
              item, item.deliveries() + 1, dead.reason(), dead.detail(), dead.error()));
    } else if (verdict instanceof Verdict.Failed failed) {
      addFailed(item, failed);
    } else if (verdict instanceof Verdict.Unsure unsure) {
      addFailed(item, unsure.ifHeld());
    }
  }

  private void addFailed(Item item, Verdict.Failed failed) {
    int deliveries = item.deliveries() + 1;
    if (policy.isExhaustedBy(deliveries)) {
      DeathReason reason = failed.ifLast();
      deaths.add(new SharedDeathStore.Death(item, deliveries, reason, null, failed.error()));
      return;
    }
    Duration delay =
        failed
            .after()
            .orElseGet(
                () -> policy.delayAfter(deliveries, ThreadLocalRandom.current()::nextDouble));
    returned.add(back(item, deliveries, delay));
  }

  private static SharedSettleStore.Returned back(Item item, int deliveries, Duration delay) {
    return new SharedSettleStore.Returned(item, deliveries, delay.toMillis());
  }

  /** Of a group that has been deleted nothing is kept. */
  Result carryOut(Session session, int groupId) {
    if (!returned.isEmpty() && group.isPresent()) {
      SharedSettleStore.putBack(session, groupId, returned);
    }
    if (!deaths.isEmpty() && group.isPresent()) {
      bury(session, group.get());
    }
    return new Result(
        groupId,
        ids,
        returned.stream().map(SharedSettleStore.Returned::delayMs).min(Long::compare));
  }

  private void bury(Session session, SharedGroupRow row) {
    int buried = SharedDeathStore.bury(session, row.topicId(), row.id(), deaths);
    if (buried < deaths.size()) {
      LOG.warn(
          "{}: {} records were given up that compaction or retention had removed: they leave no dead letter",
          row.title(),
          deaths.size() - buried);
    }
  }

  /**
   * What was carried out, to be announced after the commit.
   *
   * @param settled by the ids of the records
   * @param soonestMs when the first of what waits again is due, if anything does
   */
  record Result(int groupId, Set<Long> settled, Optional<Long> soonestMs) {}
}
