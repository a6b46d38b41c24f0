package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.List;

/** How long what stands in line has waited, by marks of where the sequence of places was when. */
final class AgeStore {
  private AgeStore() {}

  /**
   * Marks the last place handed out, unless that was done a short time ago, and answers per level
   * the place below which all has waited for so many levels' time; zero if nothing has. A place is
   * drawn before it can be seen here, so what is below a mark is at least as old as the mark. Two
   * processes that mark at once do no harm. Index: the primary key, from the end; the bounds are
   * subqueries, since a volatile function by itself is no condition of an index.
   */
  private static final String MARK =
      """
      WITH marked AS (
        INSERT INTO trunkline.age_mark (queue_id, seq)
        SELECT :queueId, last.seq
        FROM (SELECT pg_sequence_last_value('trunkline.message_id_seq') AS seq) last
        WHERE last.seq IS NOT NULL
          AND NOT EXISTS (
            SELECT 1
            FROM trunkline.age_mark
            WHERE age_mark.queue_id = :queueId
              AND age_mark.marked_at > (SELECT clock_timestamp() - :everyMs * interval '1 millisecond'))
        ON CONFLICT DO NOTHING
      )
      SELECT coalesce((
        SELECT age_mark.seq + 1
        FROM trunkline.age_mark
        WHERE age_mark.queue_id = :queueId
          AND age_mark.marked_at <= (SELECT clock_timestamp() - level.number * q.priority_ageing)
        ORDER BY age_mark.marked_at DESC
        LIMIT 1), 0) AS below
      FROM trunkline.queue q
      CROSS JOIN generate_series(1, :levels) AS level(number)
      WHERE q.id = :queueId AND q.priority_ageing IS NOT NULL
      ORDER BY level.number
      """;

  /** Answers one place per level, those of one level first; nothing if the queue has no ageing. */
  static long[] mark(Session session, int queueId, long everyMs, int levels) {
    List<Long> below =
        session
            .relaxed(MARK)
            .bind("queueId", queueId)
            .bind("everyMs", everyMs)
            .bind("levels", levels)
            .list(row -> row.getLong("below"));
    return below.stream().mapToLong(Long::longValue).toArray();
  }
}
