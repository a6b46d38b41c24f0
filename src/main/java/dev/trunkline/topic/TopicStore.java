package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.util.List;
import java.util.Optional;

/** Statements on {@code trunkline.topic}: declare, find, alter, delete. None of them is hot. */
final class TopicStore {
  private TopicStore() {}

  /**
   * Inserts the topic unless its name is taken; the partial unique index on living names decides
   * between two processes, of which one waits for the other's commit. Answers the id, or nothing.
   */
  private static final String DECLARE =
      """
      INSERT INTO trunkline.topic (
        name, partitions, max_payload_bytes, retention_age, retention_bytes, slow_groups, slow_groups_cap_bytes,
        compaction_lag, tombstone_retention, chunk_age, chunk_bytes)
      VALUES (
        :name,
        :partitions,
        :maxPayloadBytes,
        nullif(:retentionAgeMs, -1) * interval '1 millisecond',
        nullif(:retentionBytes, -1),
        :slowGroups,
        nullif(:slowGroupsCapBytes, -1),
        nullif(:compactionLagMs, -1) * interval '1 millisecond',
        nullif(:tombstoneRetentionMs, -1) * interval '1 millisecond',
        nullif(:chunkAgeMs, 0) * interval '1 millisecond',
        nullif(:chunkBytes, 0))
      ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
      RETURNING id
      """;

  /** The tables of a topic that was just inserted, in the same transaction. */
  private static final String CREATE_STORAGE =
      """
      SELECT trunkline.create_topic_storage(:topicId)
      """;

  /** Partitions that are not there yet; growing adds some. */
  private static final String ADD_PARTITIONS =
      """
      INSERT INTO trunkline.topic_partition (topic_id, partition)
      SELECT :topicId, number
      FROM generate_series(0, :partitions - 1) AS number
      ON CONFLICT DO NOTHING
      """;

  private static final String FIND =
      """
      SELECT
        id,
        name,
        partitions,
        max_payload_bytes,
        (extract(epoch FROM retention_age) * 1000)::bigint AS retention_age_ms,
        retention_bytes,
        slow_groups,
        slow_groups_cap_bytes,
        (extract(epoch FROM compaction_lag) * 1000)::bigint AS compaction_lag_ms,
        (extract(epoch FROM tombstone_retention) * 1000)::bigint AS tombstone_retention_ms,
        (extract(epoch FROM chunk_age) * 1000)::bigint AS chunk_age_ms,
        chunk_bytes
      FROM trunkline.topic
      WHERE name = :name AND deleted_at IS NULL
      """;

  private static final String NAMES =
      """
      SELECT name
      FROM trunkline.topic
      WHERE deleted_at IS NULL
      ORDER BY name
      """;

  /** Partitions never become fewer: their records would be out of reach. */
  private static final String ALTER =
      """
      UPDATE trunkline.topic
      SET
        partitions = :partitions,
        max_payload_bytes = :maxPayloadBytes,
        retention_age = nullif(:retentionAgeMs, -1) * interval '1 millisecond',
        retention_bytes = nullif(:retentionBytes, -1),
        slow_groups = :slowGroups,
        slow_groups_cap_bytes = nullif(:slowGroupsCapBytes, -1),
        compaction_lag = nullif(:compactionLagMs, -1) * interval '1 millisecond',
        tombstone_retention = nullif(:tombstoneRetentionMs, -1) * interval '1 millisecond',
        chunk_age = nullif(:chunkAgeMs, 0) * interval '1 millisecond',
        chunk_bytes = nullif(:chunkBytes, 0)
      WHERE name = :name AND deleted_at IS NULL AND partitions <= :partitions
      RETURNING id
      """;

  /** Frees the name at once; the tables go when no transaction holds them any more. */
  private static final String DELETE =
      """
      UPDATE trunkline.topic
      SET deleted_at = now()
      WHERE id = :topicId AND deleted_at IS NULL
      RETURNING id
      """;

  /** Answers whether the topic was not there before. */
  static boolean declare(Session session, String name, TopicConfig config) {
    List<Integer> declared = bound(session.statement(DECLARE), name, config).list(r -> r.getInt(1));
    for (int id : declared) {
      addPartitions(session, id, config.partitions());
      session.statement(CREATE_STORAGE).bind("topicId", id).run();
    }
    return !declared.isEmpty();
  }

  /** Answers whether it was done: not if the topic is missing or would have fewer partitions. */
  static boolean alter(Session session, String name, TopicConfig config) {
    List<Integer> altered = bound(session.statement(ALTER), name, config).list(r -> r.getInt(1));
    altered.forEach(id -> addPartitions(session, id, config.partitions()));
    return !altered.isEmpty();
  }

  static Optional<TopicRow> find(Session session, String name) {
    return session.statement(FIND).bind("name", name).list(TopicRow::of).stream().findFirst();
  }

  static List<String> names(Session session) {
    return session.statement(NAMES).list(row -> row.getString(1));
  }

  static boolean delete(Session session, int topicId) {
    return !session.statement(DELETE).bind("topicId", topicId).list(row -> row.getInt(1)).isEmpty();
  }

  private static void addPartitions(Session session, int topicId, int partitions) {
    session.statement(ADD_PARTITIONS).bind("topicId", topicId).bind("partitions", partitions).run();
  }

  private static Session.Rows bound(Session.Rows statement, String name, TopicConfig config) {
    Retention retention = config.retention();
    Compaction compaction = config.compaction();
    boolean forever = retention.age().equals(Retention.FOREVER);
    return statement
        .bind("name", name)
        .bind("partitions", config.partitions())
        .bind("maxPayloadBytes", config.maxPayloadBytes())
        .bind("retentionAgeMs", forever ? -1L : retention.age().toMillis())
        .bind("retentionBytes", retention.bytes())
        .bind("slowGroups", retention.slowGroups().name())
        .bind("slowGroupsCapBytes", retention.capBytes())
        .bind("compactionLagMs", compaction.enabled() ? compaction.lag().toMillis() : -1L)
        .bind(
            "tombstoneRetentionMs",
            compaction.enabled() ? compaction.tombstoneRetention().toMillis() : -1L)
        .bind("chunkAgeMs", config.chunks().age().toMillis())
        .bind("chunkBytes", config.chunks().bytes());
  }
}
