package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Records of shared groups that died, and those that came back. None is hot. */
final class SharedDeathStore {
  private SharedDeathStore() {}

  /**
   * Copies records of the log, taken out of their leases in this transaction, to the dead letters.
   * The range of ids is for the planner, which opens only the chunks that can hold them. What
   * retention or compaction has removed meanwhile cannot be kept. Answers how many were.
   */
  private static final String BURY =
      """
      WITH death AS MATERIALIZED (
        SELECT *
        FROM unnest(
          :partitions::integer[], :offsets::bigint[], :ids::bigint[], :deliveries::integer[], :acquired::integer[],
          :reasons::text[], :details::text[], :errorClasses::text[], :errorMessages::text[], :errorStacks::text[])
          AS d(partition, "offset", id, deliveries, acquired, reason, detail, error_class, error_message, error_stack)
      ), buried AS (
        INSERT INTO trunkline.dead_letter (
          topic, partition, "offset", group_name, record_id, reason, detail, error_class, error_message, error_stack,
          deliveries, acquired, enqueued_at, appended_at, priority, key, type, content_type, headers, payload)
        SELECT
          t.name, d.partition, d."offset", g.name, r.id, d.reason, d.detail, d.error_class, d.error_message,
          d.error_stack, d.deliveries, d.acquired, r.source_at,
          coalesce((
            SELECT s.appended_at
            FROM trunkline.segment s
            WHERE s.topic_id = :topicId AND s.partition = d.partition AND s.base_offset <= d."offset"
            ORDER BY s.base_offset DESC
            LIMIT 1), r.source_at),
          0, r.key, r.type, r.content_type, r.headers, r.payload
        FROM trunkline.record r
        JOIN death d ON d.id = r.id
        JOIN trunkline.topic t ON t.id = :topicId
        JOIN trunkline.consumer_group g ON g.id = :groupId
        WHERE r.topic_id = :topicId
          AND r.id = ANY (:ids::bigint[])
          AND r.id BETWEEN :firstId AND :lastId
        RETURNING id
      )
      SELECT count(*) FROM buried
      """;

  /** One that had come back dies again: its copy moves, with its history. */
  private static final String BURY_AGAIN =
      """
      WITH back AS (
        DELETE FROM trunkline.group_redelivery
        WHERE group_id = :groupId AND partition = :partition AND "offset" = :offset AND id = :redeliveryId
        RETURNING *
      )
      INSERT INTO trunkline.dead_letter (
        topic, partition, "offset", group_name, record_id, reason, detail, error_class, error_message, error_stack,
        deliveries, acquired, enqueued_at, appended_at, priority, key, type, content_type, headers, deaths, payload)
      SELECT
        t.name, back.partition, back."offset", g.name, back.record_id, :reason, (:texts::text[])[1],
        (:texts::text[])[2], (:texts::text[])[3], (:texts::text[])[4], :deliveries, :acquired, back.source_at,
        back.appended_at, 0, back.key, back.type, back.content_type, back.headers, back.deaths, back.payload
      FROM back
      JOIN trunkline.consumer_group g ON g.id = back.group_id
      JOIN trunkline.topic t ON t.id = g.topic_id
      RETURNING id
      """;

  /** Copies of what came back, by their ids. */
  private static final String REDELIVERED =
      """
      SELECT
        r.id,
        r.partition,
        r."offset",
        r.record_id,
        r.source_at,
        r.appended_at,
        r.key,
        r.type,
        r.content_type,
        CASE WHEN r.headers IS NOT NULL THEN ARRAY(
          SELECT pair.part FROM jsonb_each_text(r.headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
        END AS headers,
        r.payload
      FROM unnest(:partitions::integer[], :offsets::bigint[], :ids::bigint[]) AS i(partition, "offset", id)
      JOIN trunkline.group_redelivery r
        ON r.group_id = :groupId AND r.partition = i.partition AND r."offset" = i."offset" AND r.id = i.id
      """;

  /**
   * A record that is about to be moved to the dead letters.
   *
   * @param deliveries failed or lost deliveries, the last one included
   */
  record Death(
      SharedSettleStore.Item item,
      int deliveries,
      DeathReason reason,
      @Nullable String detail,
      @Nullable DeathError error) {}

  /** Answers how many could be kept. */
  static int bury(Session session, int topicId, int groupId, List<Death> deaths) {
    int buried = 0;
    List<Death> ofLog = deaths.stream().filter(d -> d.item().redeliveryId() < 0).toList();
    if (!ofLog.isEmpty()) {
      long[] ids = ofLog.stream().mapToLong(d -> d.item().id()).toArray();
      buried +=
          session
              .replanned(BURY)
              .bind("topicId", topicId)
              .bind("groupId", groupId)
              .bindArray("partitions", ofLog.stream().mapToInt(d -> d.item().partition()).toArray())
              .bindArray("offsets", ofLog.stream().mapToLong(d -> d.item().offset()).toArray())
              .bindArray("ids", ids)
              .bindArray("deliveries", ofLog.stream().mapToInt(Death::deliveries).toArray())
              .bindArray("acquired", ofLog.stream().mapToInt(d -> d.item().acquired()).toArray())
              .bindArray("reasons", column(ofLog, death -> death.reason().name()))
              .bindArray("details", column(ofLog, Death::detail))
              .bindArray("errorClasses", errors(ofLog, DeathError::className))
              .bindArray("errorMessages", errors(ofLog, DeathError::message))
              .bindArray("errorStacks", errors(ofLog, DeathError::stack))
              .bind("firstId", Arrays.stream(ids).min().orElse(0))
              .bind("lastId", Arrays.stream(ids).max().orElse(0))
              .list(row -> row.getInt(1))
              .get(0);
    }
    for (Death death : deaths) {
      if (death.item().redeliveryId() >= 0) {
        buried += buryAgain(session, groupId, death);
      }
    }
    return buried;
  }

  private static int buryAgain(Session session, int groupId, Death death) {
    DeathError error = death.error();
    return session
        .statement(BURY_AGAIN)
        .bind("groupId", groupId)
        .bind("partition", death.item().partition())
        .bind("offset", death.item().offset())
        .bind("redeliveryId", death.item().redeliveryId())
        .bind("reason", death.reason().name())
        .bind("deliveries", death.deliveries())
        .bind("acquired", death.item().acquired())
        .bindArray(
            "texts",
            error == null
                ? new @Nullable String[] {death.detail(), null, null, null}
                : new @Nullable String[] {
                  death.detail(), error.className(), error.message(), error.stack()
                })
        .list(row -> row.getLong(1))
        .size();
  }

  /** What came back, by the id of its way back. */
  record Back(long redeliveryId, TopicRecord record) {}

  static List<Back> redelivered(
      Session session, SharedGroupRow group, List<SharedClaimStore.Claimed> claimed) {
    return session
        .statement(REDELIVERED)
        .bind("groupId", group.id())
        .bindArray(
            "partitions", claimed.stream().mapToInt(SharedClaimStore.Claimed::partition).toArray())
        .bindArray(
            "offsets", claimed.stream().mapToLong(SharedClaimStore.Claimed::offset).toArray())
        .bindArray(
            "ids", claimed.stream().mapToLong(SharedClaimStore.Claimed::redeliveryId).toArray())
        .list(
            row ->
                new Back(
                    row.getLong("id"),
                    new TopicRecord(
                        group.topic(),
                        row.getInt("partition"),
                        row.getLong("offset"),
                        new RecordId(row.getInt("partition"), row.getLong("record_id")),
                        Message.stored(
                            row.getBytes("payload"),
                            row.getString("key"),
                            row.getString("type"),
                            row.getString("content_type"),
                            StoredHeaders.of(row.getArray("headers")),
                            Message.LOWEST_PRIORITY),
                        row.getObject("source_at", OffsetDateTime.class).toInstant(),
                        row.getObject("appended_at", OffsetDateTime.class).toInstant())));
  }

  private static @Nullable String[] errors(
      List<Death> deaths, Function<DeathError, @Nullable String> part) {
    return column(
        deaths,
        death -> {
          DeathError error = death.error();
          return error == null ? null : part.apply(error);
        });
  }

  private static @Nullable String[] column(
      List<Death> deaths, Function<Death, @Nullable String> part) {
    @Nullable String[] column = new String[deaths.size()];
    for (int i = 0; i < column.length; i++) {
      column[i] = part.apply(deaths.get(i));
    }
    return column;
  }
}
