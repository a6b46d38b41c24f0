package dev.trunkline.topic;

import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.topic.RebalancePlan.Place;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves partitions between the members of a group: when one joins or leaves, in that transaction;
 * when one has fallen silent, by whoever notices. One at a time per group, under the lock of the
 * group's row. Thread-safe.
 *
 * <p>Only what has no living owner changes hands here. What a living member has is promised to the
 * other one, and goes when its owner has finished the record in hand: {@link #release}.
 */
final class Rebalancer {
  private static final Logger LOG = LoggerFactory.getLogger(Rebalancer.class);

  private final Database database;
  private final boolean notifies;
  private final Runnable moved;

  /**
   * For this database.
   *
   * @param notifies whether other processes are told by NOTIFY
   * @param moved tells this one
   */
  Rebalancer(Database database, boolean notifies, Runnable moved) {
    this.database = database;
    this.notifies = notifies;
    this.moved = moved;
  }

  /** What is done under the lock of a group, before it is rebalanced. */
  @FunctionalInterface
  interface Change<T> {
    T on(Session session);
  }

  /**
   * Changes the members of a group, and shares its partitions out among them, in one transaction.
   * Waits for a rebalance that is under way.
   *
   * @throws GroupNotFoundException if the group has been deleted
   */
  <T> T change(GroupRow group, Change<T> change) {
    T result =
        database.inTransaction(
            session -> {
              if (!RebalanceStore.lock(session, group.id())) {
                throw new GroupNotFoundException(group.topic(), group.name());
              }
              T changed = change.on(session);
              rebalance(session, group);
              return changed;
            });
    moved.run();
    return result;
  }

  /** Rebalances, unless somebody is at it already. */
  void rebalance(GroupRow group) {
    database.inTransaction(
        session -> {
          if (RebalanceStore.lockIfFree(session, group.id())) {
            rebalance(session, group);
          }
          return true;
        });
  }

  private void rebalance(Session session, GroupRow group) {
    if (group.agreed().kind() == GroupKind.SHARED) {
      // Its partitions are nobody's: each claim takes one for a moment. Silent members are the
      // SharedReaper's, who first takes back what they hold.
      RebalanceStore.addPartitions(session, group.id());
      return;
    }
    List<Long> silent = MemberStore.removeSilent(session, group.id());
    if (!silent.isEmpty()) {
      LOG.info("{}: members {} are silent, their partitions go to others", group.title(), silent);
    }
    RebalanceStore.addPartitions(session, group.id());
    List<Long> members = MemberStore.living(session, group.id());
    List<Place> places = RebalanceStore.places(session, group.id());
    List<Place> moves = RebalancePlan.changes(members, places);
    if (moves.isEmpty()) {
      return;
    }
    Map<Integer, Long> holders =
        places.stream().collect(Collectors.toMap(Place::partition, Place::holder));
    long[] befores = moves.stream().mapToLong(move -> holders.get(move.partition())).toArray();
    if (!RebalanceStore.move(session, group.id(), moves, befores).isEmpty() && notifies) {
      RebalanceStore.tell(session, group.id());
    }
  }

  /**
   * Gives partitions up for good, with how far the member came. Answers those that were still its
   * own; of the others nothing was committed.
   */
  List<Integer> release(GroupRow group, long memberId, CommitStore.Positions positions) {
    List<Integer> own =
        database.inTransaction(
            session -> {
              List<Integer> released =
                  RebalanceStore.release(session, group.id(), memberId, positions);
              if (!released.isEmpty() && notifies) {
                RebalanceStore.tell(session, group.id());
              }
              return released;
            });
    moved.run();
    return own;
  }
}
