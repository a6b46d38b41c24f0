package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;

/** Claiming for good: from ready to the consumer's memory. */
final class AtMostOnceStore {
  private AtMostOnceStore() {}

  /**
   * Deletes up to maxMessages and answers them. Finds, locks and bounds as {@link ClaimStore}'s
   * CLAIM does, with the same indexes; instead of a lease there is the delete of the message, whose
   * RETURNING is the answer. A message that was removed while it was ready is not in it. One whose
   * time is over is deleted like the others, or a dead letter if the queue says so, and is answered
   * as expired.
   *
   * <p>On disk before it returns: undone by a crash it would be delivered again.
   */
  private static final String CLAIM_AND_DELETE =
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
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item))
        RETURNING
          id,
          enqueued_at,
          expires_at,
          expires_at <= clock_timestamp() AS expired,
          queue_id,
          priority,
          deaths,
          time_to_live,
          headers AS stored_headers,
          key,
          type,
          content_type,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers,
          payload
      ), buried AS (
        INSERT INTO trunkline.dead_letter (
          message_id, queue, reason, deliveries, acquired, enqueued_at, priority, key, type, content_type, headers,
          deaths, payload, time_to_live)
        SELECT
          gone.id, queue.name, 'EXPIRED', item.deliveries, item.acquired, gone.enqueued_at, gone.priority, gone.key,
          gone.type, gone.content_type, gone.stored_headers, gone.deaths, gone.payload, gone.time_to_live
        FROM gone
        JOIN item ON item.id = gone.id
        JOIN trunkline.queue ON queue.id = gone.queue_id
        WHERE gone.expired AND queue.expired_messages = 'DEAD_LETTER'
        RETURNING 1
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, acked, expired, dead)
        SELECT
          :queueId,
          -coalesce((SELECT sum(bytes) FROM chosen WHERE take = cardinality(ids)), 0),
          -count(*),
          count(*) - (SELECT count(*) FROM gone WHERE expired),
          (SELECT count(*) FROM gone WHERE expired),
          (SELECT count(*) FROM buried)
        FROM item
        HAVING count(*) > 0
      )
      SELECT
        (SELECT count(*) FROM picked) AS picked_runs,
        (SELECT sum(cardinality(ids)) FROM picked) AS picked_ids,
        item.id,
        item.deliveries,
        item.acquired,
        item.priority,
        item.seq,
        item.whole,
        item.position,
        gone.id IS NOT NULL AS present,
        gone.enqueued_at,
        CASE
          WHEN gone.expired THEN 0
          WHEN gone.expires_at IS NOT NULL THEN greatest(1, (extract(epoch FROM gone.expires_at - clock_timestamp()) * 1000000)::bigint)
        END AS expires_in_us,
        gone.key,
        gone.type,
        gone.content_type,
        gone.headers,
        gone.payload
      FROM item
      LEFT JOIN gone ON gone.id = item.id
      """;

  static List<ClaimStore.Claimed> claimAndDelete(
      Session session, ClaimStore.Request request, Lanes.Attempt attempt) {
    return session
        .durablePinned(CLAIM_AND_DELETE)
        .bind("queueId", request.queueId())
        .bind("consumerId", request.consumerId())
        .bind("maxMessages", request.maxMessages())
        .bind("maxRuns", request.maxRuns())
        .bind("maxBytes", request.maxBytes())
        .bindArray("priorities", attempt.priorities())
        .bindArray("froms", attempt.froms())
        .bindArray("tos", attempt.tos())
        .list(AtMostOnceStore::claimed);
  }

  private static ClaimStore.Claimed claimed(ResultSet row) throws SQLException {
    int priority = row.getInt("priority");
    return new ClaimStore.Claimed(
        0,
        0,
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
