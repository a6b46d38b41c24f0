package dev.trunkline.topic;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.IdleBackoff;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Removes what is left of topics that have been deleted, as soon as no transaction uses it: tables,
 * groups, rows; in the end the topic's row, its tombstone. Dead letters stay. Not thread-safe.
 */
final class TopicRemoval {
  private static final Logger LOG = LoggerFactory.getLogger(TopicRemoval.class);

  /** The last lock is one that all publishers wait behind, so it is not tried all the time. */
  private static final Duration FIRST_RETRY = Duration.ofSeconds(1);

  private static final Duration LAST_RETRY = Duration.ofMinutes(1);

  private final Database database;
  private final Map<Integer, Retry> retries = new HashMap<>();

  TopicRemoval(Database database) {
    this.database = database;
  }

  /** When to try again. */
  private static final class Retry {
    final IdleBackoff backoff = new IdleBackoff(FIRST_RETRY, LAST_RETRY);
    long atNanos = System.nanoTime();
  }

  /** Answers whether there are topics left to be removed. */
  boolean runOnce() {
    List<Integer> deleted = database.run(RemovalStore::deleted);
    retries.keySet().retainAll(new HashSet<>(deleted));
    boolean left = false;
    for (int topicId : deleted) {
      Retry retry = retries.computeIfAbsent(topicId, id -> new Retry());
      if (System.nanoTime() - retry.atNanos < 0) {
        left = true;
      } else if (!remove(topicId)) {
        retry.atNanos = System.nanoTime() + retry.backoff.next().toNanos();
        left = true;
      }
    }
    return left;
  }

  private boolean remove(int topicId) {
    if (!database.run(session -> RemovalStore.dropStorage(session, topicId))) {
      return false;
    }
    for (int groupId : database.run(session -> RemovalStore.groups(session, topicId))) {
      Groups.delete(database, groupId);
    }
    long rows;
    do {
      rows = database.run(session -> RemovalStore.deleteRows(session, topicId));
    } while (rows > 0);
    database.run(
        session -> {
          RemovalStore.deleteTopic(session, topicId);
          return true;
        });
    LOG.debug("topic {}: removed", topicId);
    return true;
  }
}
