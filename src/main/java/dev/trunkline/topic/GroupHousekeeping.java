package dev.trunkline.topic;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;

/**
 * Once a minute: deletes the heartbeats, commits and attempts that newer ones have replaced. Runs
 * in every process with members; that two do the same at once does no harm.
 */
final class GroupHousekeeping implements Step {
  private static final Duration INTERVAL = Duration.ofMinutes(1);
  private static final int COMMITS_A_TIME = 5_000;

  private final Database database;

  GroupHousekeeping(Database database) {
    this.database = database;
  }

  @Override
  public Duration runOnce() {
    database.run(MemberStore::pruneHeartbeats);
    database.run(FailureStore::prune);
    int pruned = database.<Integer>run(session -> CommitStore.prune(session, COMMITS_A_TIME));
    return pruned == COMMITS_A_TIME ? Duration.ofMillis(100) : INTERVAL;
  }
}
