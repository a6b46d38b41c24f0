package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** From scheduled to ready, when the time has come. */
final class ScheduleStore {
  private ScheduleStore() {}

  /**
   * Moves due messages to ready, those due first in front, in runs of up to 32 small ones; a large
   * one is a run of its own, and ends the stretch of small ones before it. Locks the rows it moves
   * and skips those another process is moving. Unless everything is to be looked at it begins ten
   * seconds back, so that the dead entries of what was moved long ago are not walked. The bounds
   * are subqueries: a volatile function by itself is no condition of an index, and all that is
   * scheduled would be read.
   *
   * <p>What has a key joins the line of that, and is announced as by a sender who knows no mark.
   */
  private static final String PROMOTE =
      """
      WITH due AS (
        DELETE FROM trunkline.scheduled
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.scheduled
          WHERE due_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            AND due_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
          ORDER BY due_at, id
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING id, due_at, queue_id, bytes, priority, deliveries, acquired, expires_at, key
      ), stretched AS (
        SELECT
          due.*,
          bytes > 8192 AS large,
          count(*) FILTER (WHERE bytes > 8192) OVER (
            PARTITION BY queue_id, priority ORDER BY due_at, id ROWS UNBOUNDED PRECEDING) AS stretch
        FROM due
        WHERE key IS NULL
      ), numbered AS (
        SELECT
          stretched.*,
          (row_number() OVER (PARTITION BY queue_id, priority, stretch, large ORDER BY due_at, id) - 1) / 32 AS run
        FROM stretched
      ), runs AS (
        SELECT
          queue_id,
          priority,
          sum(bytes) AS bytes,
          min(expires_at) AS expires_at,
          array_agg(id ORDER BY due_at, id) AS ids,
          array_agg(deliveries ORDER BY due_at, id) AS deliveries,
          array_agg(acquired ORDER BY due_at, id) AS acquired
        FROM numbered
        GROUP BY queue_id, priority, stretch, large, run
        ORDER BY min(due_at), min(id)
      ), readied AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, deliveries, acquired, expires_at)
        SELECT nextval('trunkline.message_id_seq'), queue_id, bytes, priority, ids, deliveries, acquired, expires_at
        FROM runs
        RETURNING queue_id, priority, seq, cardinality(ids) AS messages
      ), lined AS (
        INSERT INTO trunkline.line (id, expires_at, queue_id, bytes, deliveries, acquired, key)
        SELECT id, expires_at, queue_id, bytes, deliveries, acquired, key
        FROM due
        WHERE key IS NOT NULL
      ), arrived AS (
        INSERT INTO trunkline.turn (seq, queue_id, key)
        SELECT nextval('trunkline.message_id_seq'), queue_id, key
        FROM due
        WHERE key IS NOT NULL
        GROUP BY queue_id, key
        RETURNING queue_id, seq
      ), marked AS (
        INSERT INTO trunkline.key_mark (first_id, queue_id, key)
        SELECT min(id), queue_id, key
        FROM due
        WHERE key IS NOT NULL
        GROUP BY queue_id, key
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, scheduled, ready)
        SELECT queue_id, -count(*), count(*)
        FROM due
        GROUP BY queue_id
      )
      SELECT queue_id, priority, min(seq) AS first, max(seq) AS last, sum(messages) AS messages
      FROM readied
      GROUP BY queue_id, priority
      UNION ALL
      SELECT
        queue_id, 0, min(seq), max(seq),
        (SELECT count(*) FROM due WHERE due.queue_id = arrived.queue_id AND due.key IS NOT NULL)
      FROM arrived
      GROUP BY queue_id
      """;

  /**
   * Gives batons that have waited long enough their turn. Locks, skips and begins as PROMOTE does.
   */
  private static final String PROMOTE_TURNS =
      """
      WITH due AS (
        DELETE FROM trunkline.turn_later
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.turn_later
          WHERE due_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            AND due_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
          ORDER BY due_at
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING from_id, queue_id, walked, hops, key
      ), back AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, walked, hops, key)
        SELECT nextval('trunkline.message_id_seq'), from_id, queue_id, walked, hops, key
        FROM due
        RETURNING queue_id, seq
      )
      SELECT queue_id, 0 AS priority, min(seq) AS first, max(seq) AS last, count(*) AS messages
      FROM back
      GROUP BY queue_id
      """;

  /**
   * How long until the next message or baton is due, a day at most: what is never due has no
   * distance.
   */
  private static final String NEXT_DUE =
      """
      SELECT
        (extract(epoch FROM least(due_at, clock_timestamp() + interval '1 day') - clock_timestamp()) * 1000)::bigint
          AS due_in_ms
      FROM (
        SELECT least(
          (
            SELECT due_at
            FROM trunkline.scheduled
            WHERE due_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            ORDER BY due_at
            LIMIT 1
          ), (
            SELECT due_at
            FROM trunkline.turn_later
            WHERE due_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            ORDER BY due_at
            LIMIT 1
          )) AS due_at
      ) next
      WHERE due_at IS NOT NULL
      """;

  /** Messages of one queue and priority that became ready. */
  record Promoted(int queueId, Lanes.Announced runs, long messages) {}

  static OptionalLong nextDueInMs(Session session, boolean everything) {
    return session
        .relaxed(NEXT_DUE)
        .bind("everything", everything)
        .list(row -> row.getLong(1))
        .stream()
        .mapToLong(Long::longValue)
        .findFirst();
  }

  static List<Promoted> promote(
      Session session, boolean everything, @Nullable Instant now, int limit) {
    return promoted(session.relaxed(PROMOTE), everything, now, limit);
  }

  static List<Promoted> promoteTurns(
      Session session, boolean everything, @Nullable Instant now, int limit) {
    return promoted(session.relaxed(PROMOTE_TURNS), everything, now, limit);
  }

  private static List<Promoted> promoted(
      Session.Rows statement, boolean everything, @Nullable Instant now, int limit) {
    return statement
        .bind("everything", everything)
        .bind("nowMs", now == null ? -1 : now.toEpochMilli())
        .bind("limit", limit)
        .list(
            row ->
                new Promoted(
                    row.getInt("queue_id"),
                    new Lanes.Announced(
                        row.getInt("priority"), row.getLong("first"), row.getLong("last")),
                    row.getLong("messages")));
  }
}
