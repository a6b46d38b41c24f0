package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Claiming: from ready to lease. */
final class ClaimStore {
  private ClaimStore() {}

  /**
   * Moves up to maxMessages from ready into one new lease and answers them with their payloads.
   *
   * <p>Locks runs in the order of the lanes, row by row, no more than maxRuns of them and only
   * those that nobody else has locked ({@code FOR UPDATE SKIP LOCKED} under a LIMIT pulls and locks
   * lazily). Takes them whole, except that the last may be split. Index: ready_claim_idx, once per
   * lane; ready itself is then reached by ctid, which is safe since the row is locked. The payload
   * comes by a lateral lookup behind OFFSET 0, which the planner cannot turn into a join: an index
   * lookup per message, whatever the statistics of a table that turns over every second say.
   *
   * <p>A paused or deleted queue answers nothing, nor does a process get anything that has been
   * declared dead. The last clause of {@code chosen} bounds the bytes in one claim; the first run
   * is always taken. A run that is split keeps its bytes until the last of it is taken.
   */
  private static final String CLAIM =
      """
      WITH picked AS MATERIALIZED (
        SELECT
          run.tid,
          run.seq,
          run.priority,
          run.ids,
          run.deliveries,
          run.acquired,
          run.bytes,
          run.expires_at,
          sum(cardinality(run.ids)) OVER in_order - cardinality(run.ids) AS ids_before,
          sum(run.bytes) OVER in_order AS bytes_so_far
        FROM (
          SELECT r.*
          FROM unnest(:priorities::smallint[], :froms::bigint[], :tos::bigint[]) AS lane(priority, from_seq, to_seq)
          CROSS JOIN LATERAL (
            SELECT
              ready.ctid AS tid, ready.seq, ready.priority, ready.ids, ready.deliveries, ready.acquired, ready.bytes,
              ready.expires_at
            FROM trunkline.ready
            WHERE ready.queue_id = :queueId
              AND ready.priority = lane.priority
              AND ready.seq >= lane.from_seq
              AND ready.seq < lane.to_seq
            ORDER BY ready.seq
            LIMIT :maxRuns
            FOR UPDATE SKIP LOCKED
          ) r
          WHERE EXISTS (
            SELECT 1 FROM trunkline.queue WHERE id = :queueId AND NOT paused AND deleted_at IS NULL)
            AND EXISTS (SELECT 1 FROM trunkline.consumer WHERE id = :consumerId)
          LIMIT :maxRuns
        ) run
        WINDOW in_order AS (ROWS UNBOUNDED PRECEDING)
      ), chosen AS MATERIALIZED (
        SELECT *, least(cardinality(ids), :maxMessages - ids_before)::integer AS take
        FROM picked
        WHERE ids_before < :maxMessages
          AND (ids_before = 0 OR bytes_so_far <= :maxBytes)
      ), emptied AS (
        DELETE FROM trunkline.ready
        WHERE ctid = ANY (ARRAY(SELECT tid FROM chosen))
      ), rest AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, deliveries, acquired, expires_at)
        SELECT
          seq, :queueId, bytes, priority,
          ids[take + 1 :], deliveries[take + 1 :], acquired[take + 1 :], expires_at
        FROM chosen
        WHERE take < cardinality(ids)
      ), item AS MATERIALIZED (
        SELECT
          u.id,
          coalesce(u.deliveries, 0) AS deliveries,
          coalesce(u.acquired, 0) + 1 AS acquired,
          c.priority,
          c.seq,
          c.take = cardinality(c.ids) AS whole,
          c.ids_before + u.position AS position
        FROM chosen c
        CROSS JOIN LATERAL unnest(c.ids, c.deliveries, c.acquired) WITH ORDINALITY
          AS u(id, deliveries, acquired, position)
        WHERE u.position <= c.take
      ), leased AS (
        INSERT INTO trunkline.lease (consumer_id, visible_at, queue_id, ids, deliveries, acquired)
        SELECT
          :consumerId,
          now() + coalesce(
            nullif(:visibilityTimeoutMs, -1) * interval '1 millisecond',
            (SELECT visibility_timeout FROM trunkline.queue WHERE id = :queueId)),
          :queueId,
          array_agg(id),
          array_agg(deliveries),
          array_agg(acquired)
        FROM item
        HAVING count(*) > 0
        RETURNING id, visible_at - now() AS hidden_for
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, in_flight)
        SELECT :queueId, -coalesce(sum(bytes) FILTER (WHERE take = cardinality(ids)), 0), -sum(take), sum(take)
        FROM chosen
        HAVING count(*) > 0
      )
      SELECT
        (SELECT id FROM leased) AS lease_id,
        (SELECT (extract(epoch FROM hidden_for) * 1000)::bigint FROM leased) AS hidden_for_ms,
        (SELECT count(*) FROM picked) AS picked_runs,
        (SELECT sum(cardinality(ids)) FROM picked) AS picked_ids,
        item.id,
        item.deliveries,
        item.acquired,
        item.priority,
        item.seq,
        item.whole,
        item.position,
        m.id IS NOT NULL AS present,
        m.enqueued_at,
        (extract(epoch FROM m.expires_at - clock_timestamp()) * 1000000)::bigint AS expires_in_us,
        m.key,
        m.type,
        m.content_type,
        m.headers,
        m.payload
      FROM item
      LEFT JOIN LATERAL (
        SELECT
          id,
          enqueued_at,
          expires_at,
          key,
          type,
          content_type,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers,
          payload
        FROM trunkline.message
        WHERE message.id = item.id
        OFFSET 0
      ) m ON true
      """;

  /** What one claim is asked for. */
  record Request(
      int queueId,
      long consumerId,
      long visibilityTimeoutMs,
      int maxMessages,
      int maxRuns,
      long maxBytes) {

    /** The same with other bounds on messages and runs. */
    Request withMessages(int otherMessages, int otherRuns) {
      return new Request(
          queueId, consumerId, visibilityTimeoutMs, otherMessages, otherRuns, maxBytes);
    }
  }

  /**
   * One message of a claim; row is null if the message was removed while it was ready. Its time is
   * over if none is left, or less.
   */
  record Claimed(
      long leaseId,
      long hiddenForMs,
      long pickedRuns,
      long pickedIds,
      long position,
      Lanes.Taken run,
      long id,
      int deliveries,
      int acquired,
      long expiresInMicros,
      @Nullable MessageRow row) {

    /** What has no time to live. */
    static final long NEVER = Long.MAX_VALUE;

    static Claimed of(ResultSet row) throws SQLException {
      int priority = row.getInt("priority");
      return new Claimed(
          row.getLong("lease_id"),
          row.getLong("hidden_for_ms"),
          row.getLong("picked_runs"),
          row.getLong("picked_ids"),
          row.getLong("position"),
          new Lanes.Taken(priority, row.getLong("seq"), row.getBoolean("whole")),
          row.getLong("id"),
          row.getInt("deliveries"),
          row.getInt("acquired"),
          ClaimStore.expiresInMicros(row),
          row.getBoolean("present") ? MessageRow.of(row, priority) : null);
    }
  }

  static long expiresInMicros(ResultSet row) throws SQLException {
    long micros = row.getLong("expires_in_us");
    return row.wasNull() ? Claimed.NEVER : micros;
  }

  static List<Claimed> claim(Session session, Request request, Lanes.Attempt attempt) {
    return session
        .relaxed(CLAIM)
        .bind("queueId", request.queueId())
        .bind("consumerId", request.consumerId())
        .bind("visibilityTimeoutMs", request.visibilityTimeoutMs())
        .bind("maxMessages", request.maxMessages())
        .bind("maxRuns", request.maxRuns())
        .bind("maxBytes", request.maxBytes())
        .bindArray("priorities", attempt.priorities())
        .bindArray("froms", attempt.froms())
        .bindArray("tos", attempt.tos())
        .list(Claimed::of);
  }
}
