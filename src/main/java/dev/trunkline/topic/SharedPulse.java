package dev.trunkline.topic;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Once a second: says that the members of shared groups in this process are alive, and looks
 * whether anything was missed. This is what correctness rests on when every notification is lost. A
 * process without members runs nothing.
 */
final class SharedPulse implements Step {
  private static final Duration UNTIL_SOMEBODY_JOINS = Duration.ofHours(1);
  private static final Duration PRUNE_EVERY = Duration.ofSeconds(5);
  private static final Duration PRUNE_BEATS_EVERY = Duration.ofMinutes(1);

  private final SharedEngine engine;
  private final Database database;
  private final DueTime expiry;
  private final Duration interval;
  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  /** Per group, from where on its cursors are still to be pruned. */
  private final Map<Integer, Map<Integer, Long>> prunedTo = new HashMap<>();

  private long prunedNanos = System.nanoTime();
  private long prunedBeatsNanos = System.nanoTime();

  SharedPulse(SharedEngine engine, DueTime expiry, Duration interval) {
    this.engine = engine;
    this.database = engine.database();
    this.expiry = expiry;
    this.interval = interval;
  }

  @Override
  public Duration runOnce() {
    List<SharedMember> beating = List.copyOf(engine.members());
    if (beating.isEmpty()) {
      return UNTIL_SOMEBODY_JOINS;
    }
    List<Long> ids = beating.stream().map(SharedMember::id).toList();
    boolean everything = budget.allows();
    long begin = System.nanoTime();
    Map<Long, SharedPulseStore.Found> found =
        database.run(session -> SharedPulseStore.look(session, ids, everything)).stream()
            .collect(Collectors.toMap(SharedPulseStore.Found::memberId, each -> each));
    if (everything) {
      budget.spent(Duration.ofNanos(System.nanoTime() - begin));
    }
    for (int i = 0; i < ids.size(); i++) {
      SharedMember member = beating.get(i);
      SharedPulseStore.Found seen = found.get(ids.get(i));
      if (seen == null) {
        engine.joinAgain(member);
      } else {
        tell(member, seen);
      }
    }
    prune(beating);
    return interval;
  }

  private void tell(SharedMember member, SharedPulseStore.Found seen) {
    member.paused(seen.paused());
    if (seen.grown()) {
      database.inTransaction(
          session -> {
            if (RebalanceStore.lockIfFree(session, member.group().id())) {
              RebalanceStore.addPartitions(session, member.group().id());
            }
            return true;
          });
      member.wake();
    }
    if (seen.silent()) {
      expiry.in(0);
    } else if (seen.expiresInMs() >= 0) {
      expiry.in(seen.expiresInMs());
    }
    if (seen.dueInMs() >= 0) {
      member.dueIn(seen.dueInMs());
    }
  }

  private void prune(List<SharedMember> members) {
    long now = System.nanoTime();
    if (now - prunedNanos > PRUNE_EVERY.toNanos()) {
      prunedNanos = now;
      Set<Integer> groups =
          new HashSet<>(members.stream().map(member -> member.group().id()).toList());
      prunedTo.keySet().retainAll(groups);
      for (int group : groups) {
        Map<Integer, Long> from = prunedTo.getOrDefault(group, Map.of());
        prunedTo.put(
            group, database.run(session -> SharedGroupStore.pruneCursors(session, group, from)));
      }
    }
    if (now - prunedBeatsNanos > PRUNE_BEATS_EVERY.toNanos()) {
      prunedBeatsNanos = now;
      database.run(MemberStore::pruneHeartbeats);
    }
  }
}
