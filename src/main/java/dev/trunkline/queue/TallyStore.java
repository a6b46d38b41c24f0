package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** The counts per queue and state, without counting. */
final class TallyStore {
  private TallyStore() {}

  /**
   * Folds rows into one per queue. Takes only rows that nobody else is folding; each is counted
   * once, since it is deleted by the statement that adds it to the sum. foldFrom is a hint below
   * which everything has been folded already. Answers how many rows were folded, and the lowest id
   * among the new sums.
   */
  private static final String FOLD =
      """
      WITH taken AS (
        DELETE FROM trunkline.tally
        WHERE id = ANY (ARRAY(
          SELECT id
          FROM trunkline.tally
          WHERE id >= :foldFrom
          ORDER BY id
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING *
      ), folded AS (
        INSERT INTO trunkline.tally (
          queue_id, sent, acked, expired, waiting_bytes, ready, scheduled, in_flight, dead)
        SELECT
          queue_id, sum(sent), sum(acked), sum(expired), sum(waiting_bytes), sum(ready), sum(scheduled),
          sum(in_flight), sum(dead)
        FROM taken
        GROUP BY queue_id
        RETURNING id
      )
      SELECT (SELECT count(*) FROM taken) AS rows, (SELECT min(id) FROM folded) AS first
      """;

  /**
   * Of one queue, or of all if queueId is -1: sums the rows of the tally, a few per queue when the
   * maintenance keeps up. froms holds ten places, one for each priority, for each of hintedIds, one
   * after the other: there the look for the oldest ready message begins; in other queues at the
   * beginning. Where messages wait by key, those whose turn is next are looked at.
   */
  private static final String STATS =
      """
      SELECT
        q.name,
        q.paused,
        coalesce(t.sent, 0) AS sent,
        coalesce(t.acked, 0) AS acked,
        coalesce(t.expired, 0) AS expired,
        coalesce(t.ready, 0) AS ready,
        coalesce(t.scheduled, 0) AS scheduled,
        coalesce(t.in_flight, 0) AS in_flight,
        coalesce(t.dead, 0) AS dead,
        coalesce(t.waiting_bytes, 0) AS waiting_bytes,
        coalesce((
          SELECT (extract(epoch FROM clock_timestamp() - min(m.enqueued_at)) * 1000)::bigint
          FROM generate_series(0, 9) AS lane(priority)
          CROSS JOIN LATERAL (
            SELECT r.ids[1] AS id
            FROM trunkline.ready r
            WHERE r.queue_id = q.id
              AND r.priority = lane.priority
              AND r.seq >= coalesce((:froms::bigint[])[hint.before + lane.priority + 1], 0)
            ORDER BY r.seq
            LIMIT 1) oldest
          CROSS JOIN LATERAL (
            SELECT enqueued_at FROM trunkline.message WHERE message.id = oldest.id OFFSET 0) m
        ), (
          SELECT (extract(epoch FROM clock_timestamp() - min(m.enqueued_at)) * 1000)::bigint
          FROM (
            SELECT turn.key
            FROM trunkline.turn
            WHERE turn.queue_id = q.id AND turn.seq >= coalesce((:froms::bigint[])[hint.before + 1], 0)
            ORDER BY turn.seq
            LIMIT 10) turn
          CROSS JOIN LATERAL (
            SELECT line.id
            FROM trunkline.line
            WHERE line.queue_id = q.id AND line.key = turn.key
            ORDER BY line.id
            LIMIT 1) oldest
          CROSS JOIN LATERAL (
            SELECT enqueued_at FROM trunkline.message WHERE message.id = oldest.id OFFSET 0) m
        )) AS oldest_ready_ms,
        q.max_messages,
        q.max_bytes,
        q.overflow,
        (extract(epoch FROM q.max_wait) * 1000)::bigint AS max_wait_ms,
        q.pressure_at
      FROM trunkline.queue q
      CROSS JOIN LATERAL (SELECT 10 * (array_position(:hintedIds::integer[], q.id) - 1) AS before) hint
      LEFT JOIN (
        SELECT
          queue_id,
          sum(sent) AS sent,
          sum(acked) AS acked,
          sum(expired) AS expired,
          sum(ready) AS ready,
          sum(scheduled) AS scheduled,
          sum(in_flight) AS in_flight,
          sum(dead) AS dead,
          sum(waiting_bytes) AS waiting_bytes
        FROM trunkline.tally
        WHERE id >= :tallyFrom AND (:queueId = -1 OR queue_id = :queueId)
        GROUP BY queue_id
      ) t ON t.queue_id = q.id
      WHERE q.deleted_at IS NULL AND (:queueId = -1 OR q.id = :queueId)
      ORDER BY q.name
      """;

  /** What one fold did. */
  record Folded(long rows, long first) {}

  static Folded fold(Session session, long from, int limit) {
    return session
        .relaxed(FOLD)
        .bind("foldFrom", from)
        .bind("limit", limit)
        .list(row -> new Folded(row.getLong(1), row.getLong(2)))
        .get(0);
  }

  /** Of one queue, nothing if it is not there, with its hints or with none. */
  static Optional<QueueStats> stats(Session session, int queueId, long tallyFrom, long[] froms) {
    return stats(session, queueId, tallyFrom, new int[] {queueId}, froms).values().stream()
        .findFirst();
  }

  /** Of all queues, by name, in the order of the names. */
  static Map<String, QueueStats> allStats(
      Session session, long tallyFrom, int[] hintedIds, long[] froms) {
    return stats(session, -1, tallyFrom, hintedIds, froms);
  }

  private static Map<String, QueueStats> stats(
      Session session, int queueId, long tallyFrom, int[] hintedIds, long[] froms) {
    Map<String, QueueStats> stats = new LinkedHashMap<>();
    session
        .relaxed(STATS)
        .bind("queueId", queueId)
        .bind("tallyFrom", tallyFrom)
        .bindArray("hintedIds", hintedIds)
        .bindArray("froms", froms)
        .list(row -> Map.entry(row.getString("name"), QueueStats.of(row)))
        .forEach(queue -> stats.put(queue.getKey(), queue.getValue()));
    return Collections.unmodifiableMap(stats);
  }
}
