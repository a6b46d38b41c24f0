package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Statements on shared groups as such: declare, find, alter, pause, clear. None is hot. */
final class SharedGroupStore {
  private SharedGroupStore() {}

  /**
   * Inserts the group unless its name is taken; the unique index decides between two processes, of
   * which one waits for the other's commit. Answers the id, or nothing.
   */
  private static final String DECLARE =
      """
      INSERT INTO trunkline.consumer_group (
        topic_id, name, kind, session_timeout, out_of_range, failure_policy, max_deliveries, retry_initial_delay,
        retry_max_delay, retry_multiplier, retry_jitter, visibility_timeout)
      VALUES (
        :topicId,
        :name,
        'SHARED',
        :sessionTimeoutMs * interval '1 millisecond',
        'EARLIEST',
        'SKIP',
        nullif(:maxDeliveries, -1),
        :retryInitialDelayMs * interval '1 millisecond',
        :retryMaxDelayMs * interval '1 millisecond',
        :retryMultiplier,
        :retryJitter,
        :visibilityTimeoutMs * interval '1 millisecond')
      ON CONFLICT (topic_id, name) DO NOTHING
      RETURNING id
      """;

  private static final String ALTER =
      """
      UPDATE trunkline.consumer_group
      SET
        session_timeout = :sessionTimeoutMs * interval '1 millisecond',
        max_deliveries = nullif(:maxDeliveries, -1),
        retry_initial_delay = :retryInitialDelayMs * interval '1 millisecond',
        retry_max_delay = :retryMaxDelayMs * interval '1 millisecond',
        retry_multiplier = :retryMultiplier,
        retry_jitter = :retryJitter,
        visibility_timeout = :visibilityTimeoutMs * interval '1 millisecond'
      WHERE topic_id = :topicId AND name = :name AND kind = 'SHARED'
      RETURNING id
      """;

  private static final String FIND =
      """
      SELECT
        g.id,
        g.topic_id,
        t.name AS topic,
        g.name,
        (extract(epoch FROM g.visibility_timeout) * 1000)::bigint AS visibility_timeout_ms,
        (extract(epoch FROM g.session_timeout) * 1000)::bigint AS session_timeout_ms,
        g.max_deliveries,
        (extract(epoch FROM g.retry_initial_delay) * 1000)::bigint AS retry_initial_delay_ms,
        (extract(epoch FROM g.retry_max_delay) * 1000)::bigint AS retry_max_delay_ms,
        g.retry_multiplier,
        g.retry_jitter
      FROM trunkline.consumer_group g
      JOIN trunkline.topic t ON t.id = g.topic_id
      WHERE g.topic_id = :topicId AND g.name = :name AND g.kind = 'SHARED'
      """;

  private static final String FIND_BY_ID =
      """
      SELECT
        g.id,
        g.topic_id,
        t.name AS topic,
        g.name,
        (extract(epoch FROM g.visibility_timeout) * 1000)::bigint AS visibility_timeout_ms,
        (extract(epoch FROM g.session_timeout) * 1000)::bigint AS session_timeout_ms,
        g.max_deliveries,
        (extract(epoch FROM g.retry_initial_delay) * 1000)::bigint AS retry_initial_delay_ms,
        (extract(epoch FROM g.retry_max_delay) * 1000)::bigint AS retry_max_delay_ms,
        g.retry_multiplier,
        g.retry_jitter
      FROM trunkline.consumer_group g
      JOIN trunkline.topic t ON t.id = g.topic_id
      WHERE g.id = :groupId AND g.kind = 'SHARED'
      """;

  /** Claims ask for it. Answers the id, unless the group has been deleted. */
  private static final String PAUSE =
      """
      UPDATE trunkline.consumer_group
      SET paused = :paused
      WHERE id = :groupId AND kind = 'SHARED'
      RETURNING id
      """;

  private static final String IS_PAUSED =
      """
      SELECT paused
      FROM trunkline.consumer_group
      WHERE id = :groupId
      """;

  /**
   * Forgets what a shared group holds and what waits, and its dead letters on their way back, when
   * it begins anew somewhere else. Under the lock of the group's row, while nobody runs.
   */
  private static final String CLEAR =
      """
      WITH leases AS (
        DELETE FROM trunkline.shared_lease WHERE group_id = :groupId
      ), waiting AS (
        DELETE FROM trunkline.shared_waiting WHERE group_id = :groupId
      )
      DELETE FROM trunkline.group_redelivery
      WHERE group_id = :groupId
      RETURNING id
      """;

  /** Per partition: what is beyond the cursor, what is claimed, what waits. */
  private static final String LAG =
      """
      SELECT
        p.partition,
        greatest(coalesce((
          SELECT s.base_offset + cardinality(s.ids)
          FROM trunkline.segment s
          WHERE s.topic_id = p.topic_id AND s.partition = p.partition
          ORDER BY s.base_offset DESC
          LIMIT 1), p.log_start) - greatest(p.log_start, (
          SELECT c.committed
          FROM trunkline.group_commit c
          WHERE c.group_id = g.id AND c.partition = p.partition
          ORDER BY c.id DESC
          LIMIT 1)), 0) AS ready,
        (
          SELECT coalesce(sum(cardinality(l.ids)), 0)
          FROM trunkline.shared_lease l
          WHERE l.group_id = g.id AND l.partition = p.partition) AS in_flight,
        (
          SELECT count(*)
          FROM trunkline.shared_waiting w
          WHERE w.group_id = g.id AND w.partition = p.partition) AS waiting
      FROM trunkline.consumer_group g
      JOIN trunkline.topic_partition p ON p.topic_id = g.topic_id
      WHERE g.id = :groupId
      ORDER BY p.partition
      """;

  /**
   * Cursors that a newer one has replaced. Per partition it begins where an earlier round ended, so
   * that what died since is not walked again. Answers where that is now.
   */
  private static final String PRUNE_CURSORS =
      """
      WITH seen AS MATERIALIZED (
        SELECT p.partition, coalesce(f.from_id, 0) AS from_id, newest.id
        FROM trunkline.group_partition p
        LEFT JOIN unnest(:partitions::integer[], :fromIds::bigint[]) AS f(partition, from_id) USING (partition)
        CROSS JOIN LATERAL (
          SELECT c.id
          FROM trunkline.group_commit c
          WHERE c.group_id = p.group_id AND c.partition = p.partition
          ORDER BY c.id DESC
          LIMIT 1) newest
        WHERE p.group_id = :groupId
      ), gone AS (
        DELETE FROM trunkline.group_commit c
        USING seen
        WHERE c.group_id = :groupId
          AND c.partition = seen.partition
          AND c.id >= seen.from_id
          AND c.id < seen.id
      )
      SELECT partition, id FROM seen
      """;

  /** Answers the id, if the group was not there before. */
  static Optional<Integer> declare(
      Session session, int topicId, String name, SharedGroupRow.Agreed agreed) {
    return bound(session.statement(DECLARE), topicId, name, agreed)
        .list(row -> row.getInt(1))
        .stream()
        .findFirst();
  }

  /** Answers whether there is such a group, and it is shared. */
  static boolean alter(Session session, int topicId, String name, SharedGroupRow.Agreed agreed) {
    return !bound(session.statement(ALTER), topicId, name, agreed)
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  static Optional<SharedGroupRow> find(Session session, int topicId, String name) {
    return session
        .statement(FIND)
        .bind("topicId", topicId)
        .bind("name", name)
        .list(SharedGroupRow::of)
        .stream()
        .findFirst();
  }

  static Optional<SharedGroupRow> find(Session session, int groupId) {
    return session.statement(FIND_BY_ID).bind("groupId", groupId).list(SharedGroupRow::of).stream()
        .findFirst();
  }

  /** Answers whether there is such a group. */
  static boolean pause(Session session, int groupId, boolean paused) {
    return !session
        .statement(PAUSE)
        .bind("groupId", groupId)
        .bind("paused", paused)
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  /** Answers nothing if the group has been deleted. */
  static Optional<Boolean> isPaused(Session session, int groupId) {
    return session
        .statement(IS_PAUSED)
        .bind("groupId", groupId)
        .list(row -> row.getBoolean(1))
        .stream()
        .findFirst();
  }

  /** Answers how many dead letters were on their way back. */
  static int clear(Session session, int groupId) {
    return session.statement(CLEAR).bind("groupId", groupId).list(row -> row.getLong(1)).size();
  }

  static List<SharedLag> lag(Session session, int groupId) {
    return session
        .statement(LAG)
        .bind("groupId", groupId)
        .list(
            row ->
                new SharedLag(
                    row.getInt("partition"),
                    row.getLong("ready"),
                    row.getLong("in_flight"),
                    row.getLong("waiting")));
  }

  /**
   * Answers where the next round may begin, per partition.
   *
   * @param from the same of the last round
   */
  static Map<Integer, Long> pruneCursors(Session session, int groupId, Map<Integer, Long> from) {
    return session
        .relaxed(PRUNE_CURSORS)
        .bind("groupId", groupId)
        .bindArray("partitions", from.keySet().stream().mapToInt(Integer::intValue).toArray())
        .bindArray("fromIds", from.values().stream().mapToLong(Long::longValue).toArray())
        .list(row -> Map.entry(row.getInt(1), row.getLong(2)))
        .stream()
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }

  private static Session.Rows bound(
      Session.Rows statement, int topicId, String name, SharedGroupRow.Agreed agreed) {
    return statement
        .bind("topicId", topicId)
        .bind("name", name)
        .bind("sessionTimeoutMs", agreed.sessionTimeout().toMillis())
        .bind("maxDeliveries", agreed.retryPolicy().maxDeliveries())
        .bind("retryInitialDelayMs", agreed.retryPolicy().initialDelay().toMillis())
        .bind("retryMaxDelayMs", agreed.retryPolicy().maxDelay().toMillis())
        .bind("retryMultiplier", agreed.retryPolicy().multiplier())
        .bind("retryJitter", agreed.retryPolicy().jitter().name())
        .bind("visibilityTimeoutMs", agreed.visibilityTimeout().toMillis());
  }
}
