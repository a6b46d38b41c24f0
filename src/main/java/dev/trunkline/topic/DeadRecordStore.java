package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;

/** Statements on the dead letters of groups, and on the way back. */
final class DeadRecordStore {
  private DeadRecordStore() {}

  /** A page of a group's dead letters, oldest first. Index: dead_letter_group_idx. */
  private static final String BROWSE =
      """
      SELECT
        id,
        group_name,
        topic,
        partition,
        "offset",
        record_id,
        reason,
        detail,
        error_class,
        error_message,
        error_stack,
        deliveries,
        died_at,
        enqueued_at,
        appended_at,
        key,
        type,
        content_type,
        CASE WHEN headers IS NOT NULL THEN ARRAY(
          SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
        END AS headers,
        payload,
        coalesce(jsonb_array_length(deaths), 0) AS replays,
        coalesce(deaths, '[]')::text AS history
      FROM trunkline.dead_letter
      WHERE topic = :topic AND group_name = :group AND id > :afterId
      ORDER BY id
      LIMIT :limit
      """;

  private static final String NEWEST =
      """
      SELECT coalesce(max(id), 0)
      FROM trunkline.dead_letter
      WHERE topic = :topic AND group_name = :group
      """;

  private static final String IDS =
      """
      SELECT id
      FROM trunkline.dead_letter
      WHERE topic = :topic AND group_name = :group AND id > :afterId AND id <= :upToId
      ORDER BY id
      LIMIT :limit
      """;

  /**
   * Sends dead letters back to their group: they move to its redeliveries, with this death added to
   * their history. Those of parked keys stay: they go back together, in order. For a shared group
   * they also wait, due at once, attempts counted from zero. Answers how many.
   */
  private static final String REPLAY =
      """
      WITH letter AS (
        DELETE FROM trunkline.dead_letter d
        WHERE d.topic = :topic
          AND d.group_name = :group
          AND d.id = ANY (:ids::bigint[])
          AND NOT EXISTS (
            SELECT 1
            FROM trunkline.parked_key k
            WHERE k.group_id = :groupId AND k.partition = d.partition AND k.key = d.key)
        RETURNING *
      ), back AS (
        INSERT INTO trunkline.group_redelivery (
          group_id, partition, "offset", record_id, source_at, appended_at, key, type, content_type, headers, deaths,
          payload)
        SELECT
          :groupId, l.partition, l."offset", l.record_id, l.enqueued_at, l.appended_at, l.key, l.type, l.content_type,
          l.headers,
          jsonb_build_array(jsonb_build_object(
            'diedAt', l.died_at,
            'reason', l.reason,
            'detail', l.detail,
            'errorClass', l.error_class,
            'errorMessage', l.error_message,
            'deliveries', l.deliveries,
            'replayedAt', clock_timestamp())) || coalesce(l.deaths, '[]'),
          l.payload
        FROM letter l
        RETURNING id, partition, "offset", record_id
      ), waiting AS (
        INSERT INTO trunkline.shared_waiting (
          due_at, group_id, partition, "offset", record_id, deliveries, acquired, redelivery_id)
        SELECT clock_timestamp(), g.id, back.partition, back."offset", back.record_id, 0, 0, back.id
        FROM back
        JOIN trunkline.consumer_group g ON g.id = :groupId AND g.kind = 'SHARED'
      )
      SELECT count(*) FROM back
      """;

  private static final String PURGE =
      """
      DELETE FROM trunkline.dead_letter
      WHERE topic = :topic AND group_name = :group AND id = ANY (:ids::bigint[])
      RETURNING id
      """;

  private static final String PARKED_KEYS =
      """
      SELECT key
      FROM trunkline.parked_key
      WHERE group_id = :groupId
      ORDER BY parked_at, key
      """;

  /** From here on nobody buries along; whoever is at it holds the row until it has committed. */
  private static final String UNPARK =
      """
      DELETE FROM trunkline.parked_key
      WHERE group_id = :groupId AND key = :key
      RETURNING partition
      """;

  /** All dead letters of a key. Index: dead_letter_key_idx. */
  private static final String OF_KEY =
      """
      SELECT id
      FROM trunkline.dead_letter
      WHERE topic = :topic AND group_name = :group AND partition = :partition AND key = :key
      """;

  static List<DeadRecord> browse(Session session, GroupRow group, long afterId, int limit) {
    return of(session.statement(BROWSE), group)
        .bind("afterId", afterId)
        .bind("limit", limit)
        .list(DeadRecordStore::deadRecord);
  }

  static long newest(Session session, GroupRow group) {
    return of(session.statement(NEWEST), group).list(row -> row.getLong(1)).get(0);
  }

  static long[] ids(Session session, GroupRow group, long afterId, long upToId, int limit) {
    return of(session.statement(IDS), group)
        .bind("afterId", afterId)
        .bind("upToId", upToId)
        .bind("limit", limit)
        .list(row -> row.getLong(1))
        .stream()
        .mapToLong(Long::longValue)
        .toArray();
  }

  static int replay(Session session, GroupRow group, long[] ids) {
    return of(session.statement(REPLAY), group)
        .bind("groupId", group.id())
        .bindArray("ids", ids)
        .list(row -> row.getInt(1))
        .get(0);
  }

  static int purge(Session session, GroupRow group, long[] ids) {
    return of(session.statement(PURGE), group)
        .bindArray("ids", ids)
        .list(row -> row.getLong(1))
        .size();
  }

  static List<String> parkedKeys(Session session, GroupRow group) {
    return session.statement(PARKED_KEYS).bind("groupId", group.id()).list(row -> row.getString(1));
  }

  /** In a transaction: unparks a key and sends all its dead letters back. Answers how many. */
  static int release(Session session, GroupRow group, String key) {
    List<Integer> partitions =
        session
            .statement(UNPARK)
            .bind("groupId", group.id())
            .bind("key", key)
            .list(row -> row.getInt(1));
    int released = 0;
    for (int partition : partitions) {
      long[] ids =
          of(session.statement(OF_KEY), group)
              .bind("partition", partition)
              .bind("key", key)
              .list(row -> row.getLong(1))
              .stream()
              .mapToLong(Long::longValue)
              .toArray();
      released += replay(session, group, ids);
    }
    return released;
  }

  private static Session.Rows of(Session.Rows statement, GroupRow group) {
    return statement.bind("topic", group.topic()).bind("group", group.name());
  }

  private static DeadRecord deadRecord(ResultSet row) throws SQLException {
    int partition = row.getInt("partition");
    String errorClass = row.getString("error_class");
    TopicRecord record =
        new TopicRecord(
            row.getString("topic"),
            partition,
            row.getLong("offset"),
            new RecordId(partition, row.getLong("record_id")),
            Message.stored(
                row.getBytes("payload"),
                row.getString("key"),
                row.getString("type"),
                row.getString("content_type"),
                StoredHeaders.of(row.getArray("headers")),
                Message.LOWEST_PRIORITY),
            row.getObject("enqueued_at", OffsetDateTime.class).toInstant(),
            row.getObject("appended_at", OffsetDateTime.class).toInstant());
    return new DeadRecord(
        row.getLong("id"),
        row.getString("group_name"),
        record,
        DeathReason.valueOf(row.getString("reason")),
        Optional.ofNullable(row.getString("detail")),
        errorClass == null
            ? Optional.empty()
            : Optional.of(
                new DeathError(
                    errorClass, row.getString("error_message"), row.getString("error_stack"))),
        row.getInt("deliveries"),
        row.getObject("died_at", OffsetDateTime.class).toInstant(),
        row.getInt("replays"),
        row.getString("history"));
  }
}
