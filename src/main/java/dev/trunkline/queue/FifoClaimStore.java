package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.List;

/** Claiming in the order of each key: from its line into a lease of its own. */
final class FifoClaimStore {
  private FifoClaimStore() {}

  /**
   * Takes up to maxTurns turns, and moves the first messages of their keys into one new lease each.
   *
   * <p>Turns: {@link KeyedClaim#TAKE_TURNS}. A baton in hand is the right to its key: nobody else
   * claims from it, and nothing of it is in a lease.
   *
   * <p>Lines: from where the baton says, unless there is a mark from before: then something may
   * have come in front, and the line is looked at from its very beginning. The first maxPerKey of
   * each key, but none behind one that is not due; one that has failed before is claimed alone, so
   * that others need not share its fate. First the first of each key, then the second, up to
   * maxMessages. A purge may be quicker: what the delete answers is leased. Rows are reached by
   * ctid, which holds as long as the statement's own snapshot.
   *
   * <p>{@code position + 0}: PostgreSQL 16 loses the bare comparison where two functions share one
   * window, and more would be claimed than was asked for.
   *
   * <p>A turn is then done with (its messages are in a lease, which passes the baton on when it
   * ends), later (the head is not due), or stays: left, or empty, as its line is. A key that was
   * opened but not claimed from has its baton in the place of the arrival. Indexes: turn_claim_idx,
   * open_key_pkey, line_pkey, message_pkey, a few steps for each turn.
   */
  private static final String CLAIM =
      """
      WITH
      """
          + KeyedClaim.TAKE_TURNS
          + """
      , mine AS MATERIALIZED (
        SELECT
          asked.key,
          asked.place,
          CASE
            WHEN EXISTS (
              SELECT 1
              FROM trunkline.key_mark
              WHERE key_mark.queue_id = :queueId AND key_mark.key = asked.key AND key_mark.first_id < asked.from_id)
              THEN 0
            ELSE asked.from_id
          END AS from_id,
          asked.walked
        FROM asked
        WHERE asked.baton
        UNION ALL
        SELECT asked.key, asked.place, 0, 0
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
            AND line.id >= mine.from_id
          ORDER BY line.id
          LIMIT :maxPerKey
        ) l
      ), deliverable AS MATERIALIZED (
        SELECT *
        FROM (
          SELECT waiting.*, bool_and(fresh) OVER (PARTITION BY key ORDER BY nth) AS all_fresh
          FROM waiting
        ) w
        WHERE all_fresh OR (nth = 1 AND (due_at IS NULL OR due_at <= clock_timestamp()))
      ), chosen AS MATERIALIZED (
        SELECT *
        FROM (
          SELECT
            d.*,
            row_number() OVER (ORDER BY nth, place) AS position,
            sum(bytes) OVER (ORDER BY nth, place ROWS UNBOUNDED PRECEDING) AS bytes_so_far
          FROM deliverable d
        ) d
        WHERE position + 0 <= :maxMessages AND (position = 1 OR bytes_so_far <= :maxBytes)
      ), gone AS (
        DELETE FROM trunkline.line
        WHERE ctid = ANY (ARRAY(SELECT tid FROM chosen))
        RETURNING id, bytes, deliveries, acquired + 1 AS acquired, key
      ), leased AS (
        INSERT INTO trunkline.lease (
          consumer_id, visible_at, queue_id, ids, deliveries, acquired, key, key_from, key_walked)
        SELECT
          :consumerId,
          now() + coalesce(
            nullif(:visibilityTimeoutMs, -1) * interval '1 millisecond',
            (SELECT visibility_timeout FROM trunkline.queue WHERE id = :queueId)),
          :queueId,
          array_agg(gone.id ORDER BY gone.id),
          array_agg(gone.deliveries ORDER BY gone.id),
          array_agg(gone.acquired ORDER BY gone.id),
          mine.key,
          mine.from_id,
          mine.walked + count(*)
        FROM gone
        JOIN mine ON mine.key = gone.key
        GROUP BY mine.key, mine.from_id, mine.walked
        RETURNING id, key, ids, deliveries, acquired, key_walked, visible_at - now() AS hidden_for
      ), held_up AS MATERIALIZED (
        SELECT key, due_at
        FROM waiting
        WHERE nth = 1 AND due_at > clock_timestamp() AND key NOT IN (SELECT key FROM deliverable)
      ), fated AS MATERIALIZED (
        SELECT
          asked.key,
          asked.seq,
          asked.baton,
          asked.from_id,
          asked.walked,
          held_up.due_at,
          CASE
            WHEN asked.key IN (SELECT key FROM leased) THEN 'done'
            WHEN held_up.key IS NOT NULL THEN 'later'
            WHEN asked.key IN (SELECT key FROM known) THEN 'done'
            WHEN asked.key NOT IN (SELECT key FROM mine) THEN 'left'
            WHEN asked.key IN (SELECT key FROM deliverable) THEN 'left'
            ELSE 'empty'
          END AS fate
        FROM asked
        LEFT JOIN held_up ON held_up.key = asked.key
      ), over AS (
        DELETE FROM trunkline.turn
        WHERE ctid = ANY (ARRAY(
          SELECT token.tid
          FROM token
          JOIN fated ON fated.key = token.key
          WHERE fated.fate IN ('done', 'later')
            OR (token.from_id IS NULL AND fated.key IN (SELECT key FROM mine))))
      ), later AS (
        INSERT INTO trunkline.turn_later (due_at, from_id, queue_id, walked, hops, key)
        SELECT due_at, coalesce(from_id, 0), :queueId, walked, 0, key
        FROM fated
        WHERE fate = 'later'
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
        SELECT
          token.seq,
          fated.fate,
          (extract(epoch FROM fated.due_at - clock_timestamp()) * 1000)::bigint AS due_in_ms
        FROM token
        JOIN fated ON fated.key = token.key
      )
      """
          + KeyedClaim.ANSWER;

  static List<KeyedClaim.Found> claim(
      Session session, KeyedClaim.Request request, Lanes.Attempt attempt) {
    return request.bound(session.relaxed(CLAIM), attempt).list(KeyedClaim.Found::of);
  }
}
