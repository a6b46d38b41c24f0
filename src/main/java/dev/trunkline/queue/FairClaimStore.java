package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.List;

/** Claiming from each key in turn: from the lines into a lease. */
final class FairClaimStore {
  private FairClaimStore() {}

  /**
   * Takes up to maxTurns turns, and moves messages of their keys into one new lease: first the
   * first of each key, then the second. Turns, lines and locks are those of {@link FifoClaimStore};
   * but a key that was claimed from has its baton at the end of the turns at once, and may be in
   * any number of leases.
   */
  private static final String CLAIM =
      """
      WITH token AS MATERIALIZED (
        SELECT run.*, row_number() OVER () AS place
        FROM (
          SELECT t.*
          FROM unnest(:priorities::smallint[], :froms::bigint[], :tos::bigint[]) AS lane(priority, from_seq, to_seq)
          CROSS JOIN LATERAL (
            SELECT turn.ctid AS tid, turn.seq, turn.from_id, turn.key
            FROM trunkline.turn
            WHERE turn.queue_id = :queueId
              AND turn.seq >= lane.from_seq
              AND turn.seq < lane.to_seq
            ORDER BY turn.seq
            LIMIT :maxTurns
            FOR UPDATE SKIP LOCKED
          ) t
          WHERE lane.priority = 0
            AND EXISTS (
              SELECT 1 FROM trunkline.queue WHERE id = :queueId AND NOT paused AND deleted_at IS NULL)
            AND EXISTS (SELECT 1 FROM trunkline.consumer WHERE id = :consumerId)
          LIMIT :maxTurns
        ) run
      ), asked AS MATERIALIZED (
        SELECT key, min(place) AS place, min(seq) AS seq, max(from_id) AS from_id, bool_or(from_id IS NOT NULL) AS baton
        FROM token
        GROUP BY key
      ), seen AS MATERIALIZED (
        SELECT asked.key
        FROM asked
        CROSS JOIN LATERAL (
          SELECT 1
          FROM trunkline.open_key
          WHERE open_key.queue_id = :queueId AND open_key.key = asked.key
          OFFSET 0) o
        WHERE NOT asked.baton
      ), known AS MATERIALIZED (
        SELECT seen.key
        FROM seen
        CROSS JOIN LATERAL (
          SELECT 1
          FROM trunkline.open_key
          WHERE open_key.queue_id = :queueId AND open_key.key = seen.key
          LIMIT 1
          FOR KEY SHARE SKIP LOCKED) o
      ), opened AS (
        INSERT INTO trunkline.open_key (queue_id, key)
        SELECT :queueId, key
        FROM asked
        WHERE NOT baton AND key NOT IN (SELECT key FROM seen)
        ORDER BY key
        ON CONFLICT DO NOTHING
        RETURNING key
      ), mine AS MATERIALIZED (
        SELECT key, place, seq, from_id, baton
        FROM asked
        WHERE baton
        UNION ALL
        SELECT asked.key, asked.place, asked.seq, 0, false
        FROM asked
        WHERE asked.key IN (SELECT key FROM opened)
      ), waiting AS MATERIALIZED (
        SELECT
          mine.key,
          mine.place,
          l.tid,
          l.id,
          l.bytes,
          l.due_at,
          l.deliveries = 0 AND l.due_at IS NULL AS fresh,
          row_number() OVER (PARTITION BY mine.key ORDER BY l.id) AS nth
        FROM mine
        CROSS JOIN LATERAL (
          SELECT line.ctid AS tid, line.id, line.bytes, line.due_at, line.deliveries
          FROM trunkline.line
          WHERE line.queue_id = :queueId
            AND line.key = mine.key
            AND line.id >= CASE WHEN :everything THEN 0 ELSE mine.from_id END
          ORDER BY line.id
          LIMIT :maxPerKey
        ) l
      ), chosen AS MATERIALIZED (
        SELECT *
        FROM (
          SELECT
            d.*,
            row_number() OVER (ORDER BY nth, place) AS position,
            sum(bytes) OVER (ORDER BY nth, place ROWS UNBOUNDED PRECEDING) AS bytes_so_far
          FROM waiting d
        ) d
        WHERE position + 0 <= :maxMessages AND (position = 1 OR bytes_so_far <= :maxBytes)
      ), gone AS (
        DELETE FROM trunkline.line
        WHERE ctid = ANY (ARRAY(SELECT tid FROM chosen))
        RETURNING id, bytes, deliveries, acquired + 1 AS acquired, key
      ), leased AS (
        INSERT INTO trunkline.lease (consumer_id, visible_at, queue_id, ids, deliveries, acquired)
        SELECT
          :consumerId,
          now() + coalesce(
            nullif(:visibilityTimeoutMs, -1) * interval '1 millisecond',
            (SELECT visibility_timeout FROM trunkline.queue WHERE id = :queueId)),
          :queueId,
          array_agg(gone.id ORDER BY chosen.position),
          array_agg(gone.deliveries ORDER BY chosen.position),
          array_agg(gone.acquired ORDER BY chosen.position)
        FROM gone
        JOIN chosen ON chosen.id = gone.id
        HAVING count(*) > 0
        RETURNING id, ids, deliveries, acquired, visible_at - now() AS hidden_for
      ), fated AS MATERIALIZED (
        SELECT
          asked.key,
          asked.seq,
          asked.baton,
          CASE
            WHEN asked.key IN (SELECT key FROM chosen) THEN 'done'
            WHEN asked.key IN (SELECT key FROM known) THEN 'done'
            WHEN asked.key NOT IN (SELECT key FROM mine) THEN 'left'
            WHEN asked.key IN (SELECT key FROM waiting) THEN 'left'
            ELSE 'empty'
          END AS fate
        FROM asked
      ), over AS (
        DELETE FROM trunkline.turn
        WHERE ctid = ANY (ARRAY(
          SELECT token.tid
          FROM token
          JOIN fated ON fated.key = token.key
          WHERE fated.fate = 'done'
            OR (token.from_id IS NULL AND fated.key IN (SELECT key FROM mine))))
      ), next AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, key)
        SELECT nextval('trunkline.message_id_seq'), last.id + 1, :queueId, last.key
        FROM (SELECT key, max(id) AS id FROM chosen GROUP BY key ORDER BY max(position)) last
        RETURNING seq
      ), stays AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, key)
        SELECT seq, 0, :queueId, key
        FROM fated
        WHERE fate IN ('left', 'empty') AND NOT baton AND key IN (SELECT key FROM mine)
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, in_flight)
        SELECT :queueId, -sum(bytes), -count(*), count(*)
        FROM gone
        HAVING count(*) > 0
      ), judged AS MATERIALIZED (
        SELECT token.seq, fated.fate, NULL::bigint AS due_in_ms
        FROM token
        JOIN fated ON fated.key = token.key
        UNION ALL
        SELECT seq, 'next', NULL
        FROM next
      )
      SELECT
        leased.id AS lease_id,
        (extract(epoch FROM leased.hidden_for) * 1000)::bigint AS hidden_for_ms,
        u.position,
        u.id,
        u.deliveries,
        u.acquired,
        m.id IS NOT NULL AS present,
        m.enqueued_at,
        (extract(epoch FROM m.expires_at - clock_timestamp()) * 1000000)::bigint AS expires_in_us,
        m.priority,
        m.key,
        m.type,
        m.content_type,
        m.headers,
        m.payload,
        0 AS walked,
        NULL::bigint AS seq,
        NULL::text AS fate,
        NULL::bigint AS due_in_ms
      FROM leased
      CROSS JOIN LATERAL unnest(leased.ids, leased.deliveries, leased.acquired) WITH ORDINALITY
        AS u(id, deliveries, acquired, position)
      LEFT JOIN LATERAL (
        SELECT
          id,
          enqueued_at,
          expires_at,
          priority,
          key,
          type,
          content_type,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers,
          payload
        FROM trunkline.message
        WHERE message.id = u.id
        OFFSET 0
      ) m ON true
      UNION ALL
      SELECT
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        seq, fate, due_in_ms
      FROM judged
      """;

  static List<KeyedClaim.Found> claim(
      Session session, KeyedClaim.Request request, Lanes.Attempt attempt) {
    return request
        .bound(session.relaxed(CLAIM), attempt)
        .bind("everything", request.depth().everything())
        .list(KeyedClaim.Found::of);
  }
}
