package dev.trunkline.topic;

import dev.trunkline.internal.db.Database;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Commits what a member of a group has done, as long as its partitions are its own. Thread-safe.
 */
final class Committer {
  private final Database database;
  private final Rebalancer rebalancer;
  private final GroupRow group;

  Committer(Database database, Rebalancer rebalancer, GroupRow group) {
    this.database = database;
    this.rebalancer = rebalancer;
    this.group = group;
  }

  /** A partition, and the offset to commit for it. */
  record Step(Held held, long offset) {}

  /** The present positions of those whose position is not committed yet. */
  static List<Step> steps(Collection<Held> held) {
    List<Step> steps = new ArrayList<>();
    for (Held each : held) {
      long position = each.position();
      if (position != each.committed()) {
        steps.add(new Step(each, position));
      }
    }
    return steps;
  }

  /**
   * Commits; a partition that is not the member's any more is left out.
   *
   * @param durably whether it is on disk when this returns
   * @return the partitions that were left out: they are lost
   */
  List<Held> commit(List<Step> steps, boolean durably) {
    if (steps.isEmpty()) {
      return List.of();
    }
    long memberId = steps.get(0).held().memberId();
    CommitStore.Positions positions = positions(steps);
    Set<Integer> done =
        new HashSet<>(
            database.run(
                session ->
                    durably
                        ? CommitStore.commitDurably(session, group.id(), memberId, positions)
                        : CommitStore.commit(session, group.id(), memberId, positions)));
    List<Held> lost = new ArrayList<>();
    for (Step step : steps) {
      if (done.contains(step.held().partition())) {
        step.held().committed(step.offset());
      } else {
        lost.add(step.held());
      }
    }
    return lost;
  }

  /**
   * Commits the present positions of those that have moved on. One that is being committed by its
   * worker at this moment is left for the next time.
   *
   * @return the partitions that are lost
   */
  List<Held> commitPresent(Collection<Held> all, boolean durably) {
    List<Held> locked = all.stream().filter(held -> held.committing().tryLock()).toList();
    try {
      return commit(steps(locked), durably);
    } finally {
      locked.forEach(held -> held.committing().unlock());
    }
  }

  /**
   * Hands partitions over, committing these offsets first, in the same transaction.
   *
   * @param steps an offset of -1 commits nothing
   */
  void release(List<Step> steps) {
    if (!steps.isEmpty()) {
      rebalancer.release(group, steps.get(0).held().memberId(), positions(steps));
    }
  }

  /** Where the group goes on in these partitions. */
  Map<Integer, Long> committed(Collection<Integer> partitions) {
    int[] wanted = partitions.stream().mapToInt(Integer::intValue).toArray();
    return database.run(session -> CommitStore.committed(session, group.id(), wanted));
  }

  private static CommitStore.Positions positions(List<Step> steps) {
    return new CommitStore.Positions(
        steps.stream().mapToInt(step -> step.held().partition()).toArray(),
        steps.stream().mapToLong(step -> step.held().epoch()).toArray(),
        steps.stream().mapToLong(Step::offset).toArray());
  }
}
