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
        RETURNING id, due_at, queue_id, bytes, priority, deliveries, acquired, expires_at
      ), stretched AS (
        SELECT
          due.*,
          bytes > 8192 AS large,
          count(*) FILTER (WHERE bytes > 8192) OVER (
            PARTITION BY queue_id, priority ORDER BY due_at, id ROWS UNBOUNDED PRECEDING) AS stretch
        FROM due
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
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, scheduled, ready)
        SELECT queue_id, -count(*), count(*)
        FROM due
        GROUP BY queue_id
      )
      SELECT queue_id, priority, min(seq) AS first, max(seq) AS last, sum(messages) AS messages
      FROM readied
      GROUP BY queue_id, priority
      """;

  /** How long until the next message is due, a day at most: what is never due has no distance. */
  private static final String NEXT_DUE =
      """
      SELECT
        (extract(epoch FROM least(due_at, clock_timestamp() + interval '1 day') - clock_timestamp()) * 1000)::bigint
          AS due_in_ms
      FROM trunkline.scheduled
      WHERE due_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
      ORDER BY due_at
      LIMIT 1
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
    return session
        .relaxed(PROMOTE)
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
