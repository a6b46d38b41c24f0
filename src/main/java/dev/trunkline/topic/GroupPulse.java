package dev.trunkline.topic;

import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.error.InstanceInUseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Once a second, and when a group has changed: says that the members of this process are alive,
 * learns what each of them has, and rebalances groups that need it. Handlers have no part in it: a
 * member lives as long as its process does. A process without members runs nothing.
 */
final class GroupPulse implements Step {
  private static final Logger LOG = LoggerFactory.getLogger(GroupPulse.class);
  private static final Duration UNTIL_SOMEBODY_JOINS = Duration.ofHours(1);

  /** To see what came of a rebalance, and whether another one is needed. */
  private static final Duration SOON = Duration.ofMillis(20);

  private final Database database;
  private final Rebalancer rebalancer;
  private final Duration interval;
  private final Set<Membership> members = ConcurrentHashMap.newKeySet();

  GroupPulse(Database database, Rebalancer rebalancer, Duration interval) {
    this.database = database;
    this.rebalancer = rebalancer;
    this.interval = interval;
  }

  void add(Membership member) {
    members.add(member);
  }

  void remove(Membership member) {
    members.remove(member);
  }

  boolean knows(int groupId) {
    return members.stream().anyMatch(member -> member.group().id() == groupId);
  }

  @Override
  public Duration runOnce() {
    List<Membership> beating = List.copyOf(members);
    if (beating.isEmpty()) {
      return UNTIL_SOMEBODY_JOINS;
    }
    long beatNanos = System.nanoTime();
    List<Long> ids = beating.stream().map(Membership::id).toList();
    Map<Long, GroupPulseStore.Found> found =
        database.run(session -> GroupPulseStore.look(session, ids)).stream()
            .collect(Collectors.toMap(GroupPulseStore.Found::memberId, each -> each));
    Map<Integer, GroupRow> unsettled = new HashMap<>();
    Duration next = interval;
    for (int i = 0; i < ids.size(); i++) {
      Membership member = beating.get(i);
      GroupPulseStore.Found seen = found.get(ids.get(i));
      if (seen == null) {
        joinAgain(member);
      } else {
        member.seen(seen.claims(), beatNanos);
        next = shorter(next, Duration.ofMillis(Math.max(1, seen.silentInMs() + 1)));
        if (seen.unsettled()) {
          unsettled.put(member.group().id(), member.group());
        }
      }
    }
    unsettled.values().forEach(rebalancer::rebalance);
    return unsettled.isEmpty() ? next : shorter(next, SOON);
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  /** It was silent for too long. What it had belongs to others by now; it begins anew. */
  private void joinAgain(Membership member) {
    if (!members.contains(member)) {
      return;
    }
    GroupRow group = member.group();
    LOG.warn(
        "{}: member {} was silent for too long and has been taken for dead: it joins again",
        group.title(),
        member.id());
    long beatNanos = System.nanoTime();
    try {
      member.rejoined(rebalancer.change(group, session -> join(session, member)), beatNanos);
    } catch (InstanceInUseException | GroupNotFoundException e) {
      LOG.warn("{}: it cannot: {}", group.title(), e.getMessage());
      members.remove(member);
      member.ended(e);
    }
  }

  private static long join(Session session, Membership member) {
    GroupRow group = member.group();
    String instanceId = member.config().instanceId().orElse("");
    if (!instanceId.isEmpty()) {
      MemberStore.instance(session, group.id(), instanceId)
          .ifPresent(
              other -> {
                throw new InstanceInUseException(
                    group.name(), instanceId, other.host(), other.pid());
              });
    }
    return MemberStore.join(
        session, group, instanceId, GroupEngine.host(), member.sessionTimeout());
  }
}
