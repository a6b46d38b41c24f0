package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Statements on {@code trunkline.consumer_group}: declare, find, alter, delete. None is hot. */
final class GroupStore {
  private GroupStore() {}

  /**
   * Inserts the group unless its name is taken; the unique index decides between two processes, of
   * which one waits for the other's commit. Answers the id, or nothing.
   */
  private static final String DECLARE =
      """
      INSERT INTO trunkline.consumer_group (
        topic_id, name, kind, session_timeout, out_of_range, failure_policy, max_deliveries, retry_initial_delay,
        retry_max_delay, retry_multiplier, retry_jitter)
      VALUES (
        :topicId,
        :name,
        :kind,
        :sessionTimeoutMs * interval '1 millisecond',
        :outOfRange,
        :failurePolicy,
        nullif(:maxDeliveries, -1),
        :retryInitialDelayMs * interval '1 millisecond',
        :retryMaxDelayMs * interval '1 millisecond',
        :retryMultiplier,
        :retryJitter)
      ON CONFLICT (topic_id, name) DO NOTHING
      RETURNING id
      """;

  private static final String ALTER =
      """
      UPDATE trunkline.consumer_group
      SET
        session_timeout = :sessionTimeoutMs * interval '1 millisecond',
        out_of_range = :outOfRange,
        failure_policy = :failurePolicy,
        max_deliveries = nullif(:maxDeliveries, -1),
        retry_initial_delay = :retryInitialDelayMs * interval '1 millisecond',
        retry_max_delay = :retryMaxDelayMs * interval '1 millisecond',
        retry_multiplier = :retryMultiplier,
        retry_jitter = :retryJitter
      WHERE topic_id = :topicId AND name = :name AND kind = :kind
      RETURNING id
      """;

  private static final String FIND =
      """
      SELECT
        g.id,
        g.topic_id,
        t.name AS topic,
        g.name,
        g.kind,
        (extract(epoch FROM g.session_timeout) * 1000)::bigint AS session_timeout_ms,
        g.out_of_range,
        g.failure_policy,
        g.max_deliveries,
        (extract(epoch FROM g.retry_initial_delay) * 1000)::bigint AS retry_initial_delay_ms,
        (extract(epoch FROM g.retry_max_delay) * 1000)::bigint AS retry_max_delay_ms,
        g.retry_multiplier,
        g.retry_jitter
      FROM trunkline.consumer_group g
      JOIN trunkline.topic t ON t.id = g.topic_id
      WHERE g.topic_id = :topicId AND g.name = :name
      """;

  private static final String NAMES =
      """
      SELECT name
      FROM trunkline.consumer_group
      WHERE topic_id = :topicId
      ORDER BY name
      """;

  /**
   * Which offset of each partition a place is. Looks at the last segment of a partition, or at the
   * first one of a time.
   */
  private static final String RESOLVE =
      """
      SELECT
        log.partition,
        CASE :where
          WHEN 'EARLIEST' THEN log.log_start
          WHEN 'LATEST' THEN log.log_end
          WHEN 'OFFSET' THEN least(greatest(:value, log.log_start), log.log_end)
          ELSE coalesce((
            SELECT greatest(s.base_offset, log.log_start)
            FROM trunkline.segment s
            WHERE s.topic_id = :topicId
              AND s.partition = log.partition
              AND s.appended_at >= CASE :where
                WHEN 'TIMESTAMP' THEN timestamptz 'epoch' + :value * interval '1 microsecond'
                ELSE clock_timestamp() - :value * interval '1 millisecond'
              END
            ORDER BY s.appended_at, s.base_offset
            LIMIT 1), log.log_end)
        END AS place
      FROM (
        SELECT
          p.partition,
          p.log_start,
          coalesce((
            SELECT s.base_offset + cardinality(s.ids)
            FROM trunkline.segment s
            WHERE s.topic_id = p.topic_id AND s.partition = p.partition
            ORDER BY s.base_offset DESC
            LIMIT 1), p.log_start) AS log_end
        FROM trunkline.topic_partition p
        WHERE p.topic_id = :topicId
      ) log
      """;

  /** Says where partitions of a group go on, under the epochs that they have. */
  private static final String PLACE =
      """
      INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
      SELECT p.group_id, p.partition, place.committed, p.epoch
      FROM unnest(:partitions::integer[], :committed::bigint[]) AS place(partition, committed)
      JOIN trunkline.group_partition p ON p.group_id = :groupId AND p.partition = place.partition
      RETURNING partition
      """;

  /** A group with all that is its own, but its dead letters: they outlive it. */
  private static final String DELETE =
      """
      WITH gone AS (
        DELETE FROM trunkline.consumer_group WHERE id = :groupId RETURNING id
      ), places AS (
        DELETE FROM trunkline.group_partition WHERE group_id = :groupId
      ), commits AS (
        DELETE FROM trunkline.group_commit WHERE group_id = :groupId
      ), failures AS (
        DELETE FROM trunkline.group_failure WHERE group_id = :groupId
      ), parked AS (
        DELETE FROM trunkline.parked_key WHERE group_id = :groupId
      ), redeliveries AS (
        DELETE FROM trunkline.group_redelivery WHERE group_id = :groupId
      ), leases AS (
        DELETE FROM trunkline.shared_lease WHERE group_id = :groupId
      ), waiting AS (
        DELETE FROM trunkline.shared_waiting WHERE group_id = :groupId
      ), members AS (
        DELETE FROM trunkline.group_member WHERE group_id = :groupId RETURNING id
      ), beats AS (
        DELETE FROM trunkline.member_heartbeat WHERE member_id IN (SELECT id FROM members)
      )
      SELECT id FROM gone
      """;

  /** Answers the id, if the group was not there before. */
  static Optional<Integer> declare(
      Session session, int topicId, String name, GroupRow.Agreed agreed) {
    return bound(session.statement(DECLARE), topicId, name, agreed)
        .list(row -> row.getInt(1))
        .stream()
        .findFirst();
  }

  /** Answers whether there is such a group, of this kind. */
  static boolean alter(Session session, int topicId, String name, GroupRow.Agreed agreed) {
    return !bound(session.statement(ALTER), topicId, name, agreed)
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  static Optional<GroupRow> find(Session session, int topicId, String name) {
    return session
        .statement(FIND)
        .bind("topicId", topicId)
        .bind("name", name)
        .list(GroupRow::of)
        .stream()
        .findFirst();
  }

  static List<String> names(Session session, int topicId) {
    return session.statement(NAMES).bind("topicId", topicId).list(row -> row.getString(1));
  }

  /** What was published before has to have its offsets: the caller sequences first. */
  static Map<Integer, Long> resolve(Session session, int topicId, StartFrom from) {
    String where;
    long value;
    if (from instanceof StartFrom.Offset offset) {
      where = "OFFSET";
      value = offset.offset();
    } else if (from instanceof StartFrom.Timestamp timestamp) {
      where = "TIMESTAMP";
      value = micros(timestamp.timestamp());
    } else if (from instanceof StartFrom.Ago ago) {
      where = "AGO";
      value = ago.ago().toMillis();
    } else {
      where = from instanceof StartFrom.Earliest ? "EARLIEST" : "LATEST";
      value = 0;
    }
    return session
        .statement(RESOLVE)
        .bind("topicId", topicId)
        .bind("where", where)
        .bind("value", value)
        .list(row -> Map.entry(row.getInt("partition"), row.getLong("place")))
        .stream()
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }

  static void place(Session session, int topicId, int groupId, StartFrom from) {
    Map<Integer, Long> places = resolve(session, topicId, from);
    session
        .statement(PLACE)
        .bind("groupId", groupId)
        .bindArray("partitions", places.keySet().stream().mapToInt(Integer::intValue).toArray())
        .bindArray("committed", places.values().stream().mapToLong(Long::longValue).toArray())
        .run();
  }

  static boolean delete(Session session, int groupId) {
    return !session.statement(DELETE).bind("groupId", groupId).list(row -> row.getInt(1)).isEmpty();
  }

  /** Within what PostgreSQL's timestamps can hold. */
  private static long micros(Instant instant) {
    Instant earliest = Instant.parse("0001-01-01T00:00:00Z");
    Instant latest = Instant.parse("9999-12-31T00:00:00Z");
    Instant clamped =
        instant.isBefore(earliest) ? earliest : instant.isAfter(latest) ? latest : instant;
    return clamped.getEpochSecond() * 1_000_000 + clamped.getNano() / 1_000;
  }

  private static Session.Rows bound(
      Session.Rows statement, int topicId, String name, GroupRow.Agreed agreed) {
    return statement
        .bind("topicId", topicId)
        .bind("name", name)
        .bind("kind", agreed.kind().name())
        .bind("sessionTimeoutMs", agreed.sessionTimeout().toMillis())
        .bind("outOfRange", agreed.outOfRange().name())
        .bind("failurePolicy", agreed.failurePolicy().name())
        .bind("maxDeliveries", agreed.retryPolicy().maxDeliveries())
        .bind("retryInitialDelayMs", agreed.retryPolicy().initialDelay().toMillis())
        .bind("retryMaxDelayMs", agreed.retryPolicy().maxDelay().toMillis())
        .bind("retryMultiplier", agreed.retryPolicy().multiplier())
        .bind("retryJitter", agreed.retryPolicy().jitter().name());
  }
}
