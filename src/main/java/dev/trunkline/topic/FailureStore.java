package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Statements on records that failed: attempts, dead letters, parked keys, redeliveries. All that
 * write are fenced like a commit. None is hot: they run when something has failed.
 */
final class FailureStore {
  private FailureStore() {}

  /** One row more for a record. Answers whether the partition is still the member's. */
  private static final String COUNT =
      """
      WITH held AS (
        SELECT epoch
        FROM trunkline.group_partition
        WHERE group_id = :groupId AND partition = :partition AND member_id = :memberId AND epoch = :epoch
        FOR SHARE
      )
      INSERT INTO trunkline.group_failure (group_id, partition, "offset", failures, error_class, error_message)
      SELECT :groupId, :partition, :offset, :failures, :errorClass, (:errorMessages::text[])[1]
      FROM held
      ON CONFLICT (group_id, partition, "offset", failures) DO UPDATE SET failed_at = excluded.failed_at
      RETURNING partition
      """;

  /** Attempts at records that the group has not passed. */
  private static final String COUNTED =
      """
      SELECT "offset", max(failures) AS failures
      FROM trunkline.group_failure
      WHERE group_id = :groupId AND partition = :partition
      GROUP BY "offset"
      """;

  private static final String PARKED =
      """
      SELECT key
      FROM trunkline.parked_key
      WHERE group_id = :groupId AND partition = :partition
      """;

  /**
   * Gives a record up, in one statement: the dead letter, the group's way past it (:committed, or
   * -1 for one that came back) or the end of its redelivery (:redeliveryId, or -1), and its key
   * parked if that is the policy. With :along the record is not at fault itself but waits behind
   * its key: then nothing is done unless the key is still parked, which the share lock keeps so.
   * Answers whether the partition is the member's, and whether it was done.
   */
  private static final String BURY =
      """
      WITH held AS (
        SELECT p.epoch, g.name AS group_name, t.name AS topic
        FROM trunkline.group_partition p
        JOIN trunkline.consumer_group g ON g.id = p.group_id
        JOIN trunkline.topic t ON t.id = g.topic_id
        WHERE p.group_id = :groupId
          AND p.partition = :partition
          AND p.member_id = :memberId
          AND p.epoch = :epoch
        FOR SHARE OF p
      ), parked AS (
        SELECT key
        FROM trunkline.parked_key
        WHERE :along AND group_id = :groupId AND partition = :partition AND key = (:keys::text[])[1]
        FOR SHARE
      ), going AS (
        SELECT held.*
        FROM held
        WHERE NOT :along OR EXISTS (SELECT 1 FROM parked)
      ), done AS (
        INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
        SELECT :groupId, :partition, :committed, epoch
        FROM going
        WHERE :committed >= 0
      ), back AS (
        DELETE FROM trunkline.group_redelivery r
        USING going
        WHERE r.group_id = :groupId
          AND r.partition = :partition
          AND r."offset" = :offset
          AND r.id = :redeliveryId
        RETURNING r.deaths
      ), forgotten AS (
        DELETE FROM trunkline.group_failure f
        USING going
        WHERE f.group_id = :groupId AND f.partition = :partition AND f."offset" = :offset
      ), parking AS (
        INSERT INTO trunkline.parked_key (group_id, partition, key, "offset")
        SELECT :groupId, :partition, (:keys::text[])[1], :offset
        FROM going
        WHERE :park AND (:keys::text[])[1] IS NOT NULL
        ON CONFLICT DO NOTHING
      ), buried AS (
        INSERT INTO trunkline.dead_letter (
          topic, partition, "offset", group_name, record_id, reason, error_class, error_message, error_stack,
          deliveries, acquired, enqueued_at, appended_at, priority, key, type, content_type, headers, deaths, payload)
        SELECT
          going.topic,
          :partition,
          :offset,
          going.group_name,
          :recordId,
          :reason,
          (:errors::text[])[1],
          (:errors::text[])[2],
          (:errors::text[])[3],
          :deliveries,
          :deliveries,
          timestamptz 'epoch' + :sourceAtUs * interval '1 microsecond',
          timestamptz 'epoch' + :appendedAtUs * interval '1 microsecond',
          0,
          (:keys::text[])[1],
          (:keys::text[])[2],
          (:keys::text[])[3],
          jsonb_object((:keys::text[])[4]::text[]),
          (SELECT back.deaths FROM back),
          (:payloads::bytea[])[1]
        FROM going
        RETURNING id
      )
      SELECT (SELECT count(*) FROM held) > 0 AS held, (SELECT count(*) FROM buried) > 0 AS buried
      """;

  /** What comes back to a partition, in the order of the log. */
  private static final String REDELIVERIES =
      """
      SELECT
        id,
        "offset",
        record_id,
        source_at,
        appended_at,
        key,
        type,
        content_type,
        CASE WHEN headers IS NOT NULL THEN ARRAY(
          SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
        END AS headers,
        payload
      FROM trunkline.group_redelivery
      WHERE group_id = :groupId AND partition = :partition
      ORDER BY "offset", id
      LIMIT :limit
      """;

  /** A record that came back is done with. Answers whether the partition is still the member's. */
  private static final String FINISH =
      """
      WITH held AS (
        SELECT epoch
        FROM trunkline.group_partition
        WHERE group_id = :groupId AND partition = :partition AND member_id = :memberId AND epoch = :epoch
        FOR SHARE
      ), gone AS (
        DELETE FROM trunkline.group_redelivery r
        USING held
        WHERE r.group_id = :groupId AND r.partition = :partition AND r."offset" = :offset AND r.id = :id
      )
      SELECT epoch FROM held
      """;

  /** Attempts that later ones have replaced, and those at records that the group has passed. */
  private static final String PRUNE =
      """
      DELETE FROM trunkline.group_failure f
      WHERE EXISTS (
          SELECT 1
          FROM trunkline.group_failure later
          WHERE later.group_id = f.group_id
            AND later.partition = f.partition
            AND later."offset" = f."offset"
            AND later.failures > f.failures)
        OR (
          f."offset" < (
            SELECT c.committed
            FROM trunkline.group_commit c
            WHERE c.group_id = f.group_id AND c.partition = f.partition
            ORDER BY c.id DESC
            LIMIT 1)
          AND NOT EXISTS (
            SELECT 1
            FROM trunkline.group_redelivery r
            WHERE r.group_id = f.group_id AND r.partition = f.partition AND r."offset" = f."offset"))
      RETURNING f.partition
      """;

  /** How a record is given up. */
  record Burial(
      TopicRecord record,
      DeathReason reason,
      @Nullable DeathError error,
      int failures,
      boolean park,
      boolean along,
      long committed,
      long redeliveryId) {}

  /** What came of it. */
  record Buried(boolean held, boolean buried) {}

  static boolean count(
      Session session, int groupId, Held held, long offset, int failures, DeathError error) {
    return !fenced(session.statement(COUNT), groupId, held)
        .bind("offset", offset)
        .bind("failures", failures)
        .bind("errorClass", error.className())
        .bindArray("errorMessages", new @Nullable String[] {error.message()})
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  static Map<Long, Integer> counted(Session session, int groupId, int partition) {
    Map<Long, Integer> counted = new HashMap<>();
    session
        .statement(COUNTED)
        .bind("groupId", groupId)
        .bind("partition", partition)
        .list(row -> Map.entry(row.getLong("offset"), row.getInt("failures")))
        .forEach(entry -> counted.put(entry.getKey(), entry.getValue()));
    return counted;
  }

  static Set<String> parked(Session session, int groupId, int partition) {
    return new HashSet<>(
        session
            .statement(PARKED)
            .bind("groupId", groupId)
            .bind("partition", partition)
            .list(row -> row.getString(1)));
  }

  static Buried bury(Session session, int groupId, Held held, Burial burial) {
    TopicRecord record = burial.record();
    Message message = record.message();
    DeathError error = burial.error();
    return fenced(session.durable(BURY), groupId, held)
        .bind("offset", record.offset())
        .bind("recordId", record.id().value())
        .bind("reason", burial.reason().name())
        .bind("deliveries", burial.failures())
        .bind("park", burial.park())
        .bind("along", burial.along())
        .bind("committed", burial.committed())
        .bind("redeliveryId", burial.redeliveryId())
        .bind("sourceAtUs", micros(record.sourceAt()))
        .bind("appendedAtUs", micros(record.appendedAt()))
        .bindArray(
            "keys",
            new @Nullable String[] {
              message.key().orElse(null),
              message.type().orElse(null),
              message.contentType().orElse(null),
              StoredHeaders.arrayLiteral(message.headers())
            })
        .bindArray(
            "errors",
            error == null
                ? new @Nullable String[3]
                : new @Nullable String[] {error.className(), error.message(), error.stack()})
        .bindArray(
            "payloads", new byte @Nullable [][] {record.isTombstone() ? null : message.payload()})
        .list(row -> new Buried(row.getBoolean("held"), row.getBoolean("buried")))
        .get(0);
  }

  static List<Redelivery> redeliveries(
      Session session, int groupId, String topic, int partition, int limit) {
    return session
        .statement(REDELIVERIES)
        .bind("groupId", groupId)
        .bind("partition", partition)
        .bind("limit", limit)
        .list(row -> new Redelivery(row.getLong("id"), record(row, topic, partition)));
  }

  static boolean finish(Session session, int groupId, Held held, Redelivery redelivery) {
    return !fenced(session.statement(FINISH), groupId, held)
        .bind("offset", redelivery.record().offset())
        .bind("id", redelivery.id())
        .list(row -> row.getLong(1))
        .isEmpty();
  }

  static int prune(Session session) {
    return session.statement(PRUNE).list(row -> row.getInt(1)).size();
  }

  private static TopicRecord record(ResultSet row, String topic, int partition)
      throws SQLException {
    return new TopicRecord(
        topic,
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
        row.getObject("source_at", OffsetDateTime.class).toInstant(),
        row.getObject("appended_at", OffsetDateTime.class).toInstant());
  }

  private static long micros(Instant instant) {
    return instant.getEpochSecond() * 1_000_000 + instant.getNano() / 1_000;
  }

  private static Session.Rows fenced(Session.Rows statement, int groupId, Held held) {
    return statement
        .bind("groupId", groupId)
        .bind("partition", held.partition())
        .bind("memberId", held.memberId())
        .bind("epoch", held.epoch());
  }
}
