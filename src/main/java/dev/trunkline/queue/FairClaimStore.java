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
      WITH
      """
          + KeyedClaim.TAKE_TURNS
          + """
      , mine AS MATERIALIZED (
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
        RETURNING id, key, ids, deliveries, acquired, key_walked, visible_at - now() AS hidden_for
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
      """
          + KeyedClaim.ANSWER;

  static List<KeyedClaim.Found> claim(
      Session session, KeyedClaim.Request request, Lanes.Attempt attempt) {
    return request
        .bound(session.relaxed(CLAIM), attempt)
        .bind("everything", request.depth().everything())
        .list(KeyedClaim.Found::of);
  }
}
