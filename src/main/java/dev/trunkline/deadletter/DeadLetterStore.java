package dev.trunkline.deadletter;

import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Statements on the dead letters. For the library; users have {@link DeadLetters}. */
public final class DeadLetterStore {
  private DeadLetterStore() {}

  /**
   * Moves messages that were taken out of their lease in this transaction to the dead letters: copy
   * and delete are one statement. They are counted as the queue's that has the name now. Answers
   * how many.
   */
  private static final String BURY =
      """
      WITH death AS MATERIALIZED (
        SELECT *
        FROM unnest(
          :ids::bigint[], :deliveries::integer[], :acquired::integer[], :reasons::text[], :details::text[],
          :errorClasses::text[], :errorMessages::text[], :errorStacks::text[])
          AS d(id, deliveries, acquired, reason, detail, error_class, error_message, error_stack)
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM death))
        RETURNING *
      ), buried AS (
        INSERT INTO trunkline.dead_letter (
          message_id, queue, reason, detail, error_class, error_message, error_stack, deliveries, acquired, enqueued_at,
          priority, key, type, content_type, headers, deaths, payload, time_to_live)
        SELECT
          gone.id, queue.name, death.reason, death.detail, death.error_class, death.error_message, death.error_stack,
          death.deliveries, death.acquired, gone.enqueued_at, gone.priority, gone.key, gone.type, gone.content_type,
          gone.headers, gone.deaths, gone.payload, gone.time_to_live
        FROM gone
        JOIN death ON death.id = gone.id
        JOIN trunkline.queue ON queue.id = gone.queue_id
        RETURNING id, queue
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, dead)
        SELECT :queueId, -cardinality(:ids::bigint[]), 0
        UNION ALL
        SELECT living.id, 0, count(*)
        FROM buried
        JOIN trunkline.queue living ON living.name = buried.queue AND living.deleted_at IS NULL
        GROUP BY living.id
      )
      SELECT count(*) FROM buried
      """;

  /** A page of a queue's dead letters, oldest first. Index: dead_letter_queue_idx. */
  private static final String BROWSE =
      """
      SELECT
        id, died_at, message_id, queue, reason, detail, error_class, error_message, error_stack, deliveries, acquired,
        enqueued_at, priority, key, type, content_type, payload,
        CASE WHEN headers IS NOT NULL THEN ARRAY(
          SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
        END AS headers,
        coalesce(jsonb_array_length(deaths), 0) AS replays,
        coalesce(deaths, '[]')::text AS history
      FROM trunkline.dead_letter
      WHERE queue = :queue AND id > :afterId
      ORDER BY id
      LIMIT :limit
      """;

  /**
   * The newest dead letter of the queue: a replay of all goes up to here, not on to what dies
   * meanwhile.
   */
  private static final String PAGE_OF_IDS =
      """
      SELECT id
      FROM trunkline.dead_letter
      WHERE queue = :queue AND id > :afterId AND id <= :upToId
      ORDER BY id
      LIMIT :limit
      """;

  private static final String NEWEST =
      """
      SELECT max(id)
      FROM trunkline.dead_letter
      WHERE queue = :queue
      """;

  /** The SQL that people call, too. */
  private static final String REDRIVE =
      """
      SELECT trunkline.redrive(:queue, :ids::bigint[], cardinality(:ids::bigint[]))
      """;

  /** The SQL that people call, too. */
  private static final String PURGE =
      """
      SELECT trunkline.purge_dead_letters(:queue, :ids::bigint[])
      """;

  /** Buries messages of a queue. */
  public static int bury(Session session, int queueId, List<Death> deaths) {
    return session
        .relaxed(BURY)
        .bind("queueId", queueId)
        .bindArray("ids", deaths.stream().mapToLong(Death::messageId).toArray())
        .bindArray("deliveries", deaths.stream().mapToInt(Death::deliveries).toArray())
        .bindArray("acquired", deaths.stream().mapToInt(Death::acquired).toArray())
        .bindArray("reasons", column(deaths, death -> death.reason().name()))
        .bindArray("details", column(deaths, Death::detail))
        .bindArray("errorClasses", errors(deaths, DeathError::className))
        .bindArray("errorMessages", errors(deaths, DeathError::message))
        .bindArray("errorStacks", errors(deaths, DeathError::stack))
        .list(row -> row.getInt(1))
        .get(0);
  }

  static List<DeadLetter> browse(Session session, String queue, long afterId, int limit) {
    return session
        .statement(BROWSE)
        .bind("queue", queue)
        .bind("afterId", afterId)
        .bind("limit", limit)
        .list(DeadLetterStore::deadLetter);
  }

  static long newest(Session session, String queue) {
    return session.statement(NEWEST).bind("queue", queue).list(row -> row.getLong(1)).get(0);
  }

  static long[] idsBetween(Session session, String queue, long afterId, long upToId, int limit) {
    return session
        .statement(PAGE_OF_IDS)
        .bind("queue", queue)
        .bind("afterId", afterId)
        .bind("upToId", upToId)
        .bind("limit", limit)
        .list(row -> row.getLong(1))
        .stream()
        .mapToLong(Long::longValue)
        .toArray();
  }

  static int redrive(Session session, String queue, long[] ids) {
    return session
        .statement(REDRIVE)
        .bind("queue", queue)
        .bindArray("ids", ids)
        .list(row -> row.getInt(1))
        .get(0);
  }

  static int purge(Session session, String queue, long[] ids) {
    return session
        .statement(PURGE)
        .bind("queue", queue)
        .bindArray("ids", ids)
        .list(row -> row.getInt(1))
        .get(0);
  }

  private static DeadLetter deadLetter(ResultSet row) throws SQLException {
    String errorClass = row.getString("error_class");
    return new DeadLetter(
        row.getLong("id"),
        new MessageId(row.getLong("message_id")),
        row.getString("queue"),
        Message.stored(
            row.getBytes("payload"),
            row.getString("key"),
            row.getString("type"),
            row.getString("content_type"),
            StoredHeaders.of(row.getArray("headers")),
            row.getInt("priority")),
        DeathReason.valueOf(row.getString("reason")),
        Optional.ofNullable(row.getString("detail")),
        errorClass == null
            ? Optional.empty()
            : Optional.of(
                new DeathError(
                    errorClass, row.getString("error_message"), row.getString("error_stack"))),
        row.getInt("deliveries"),
        row.getInt("acquired"),
        row.getObject("enqueued_at", OffsetDateTime.class).toInstant(),
        row.getObject("died_at", OffsetDateTime.class).toInstant(),
        row.getInt("replays"),
        row.getString("history"));
  }

  private static @Nullable String[] errors(
      List<Death> deaths, Function<DeathError, @Nullable String> part) {
    return column(deaths, death -> death.error() == null ? null : part.apply(death.error()));
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
