package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;

/** Deleting what senders need not have remembered any longer. */
final class SendPruningStore {
  private SendPruningStore() {}

  /**
   * Deletes some of the ids whose window is over, oldest first; those that a sender is about to use
   * again, or another process deletes, are skipped. Begins where the last step ended, so that what
   * is dead is not walked again; the bounds are subqueries, since a volatile function by itself is
   * no condition of an index. Answers how many, and the time of the last, in milliseconds since
   * 1970. Index: dedup_expiry_idx.
   */
  private static final String DUPLICATES =
      """
      WITH gone AS (
        DELETE FROM trunkline.dedup
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.dedup
          WHERE expires_at >= (SELECT timestamptz 'epoch' + :fromMs * interval '1 millisecond')
            AND expires_at <= (SELECT clock_timestamp())
          ORDER BY expires_at
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING expires_at
      )
      SELECT count(*), coalesce(floor(extract(epoch FROM max(expires_at)) * 1000)::bigint, :fromMs)
      FROM gone
      """;

  /**
   * Deletes some of what producers had reached before they came further, oldest first. Looks at
   * what is a minute old: the newest row is then mostly another one. The newest row of a producer
   * stays whatever its age. Answers how many rows were looked at, and the time of the last.
   * Indexes: producer_progress_age_idx, and a step into producer_progress_pkey for each.
   */
  private static final String PROGRESS =
      """
      WITH seen AS MATERIALIZED (
        SELECT ctid AS tid, producer_id, sequence, sent_at
        FROM trunkline.producer_progress
        WHERE sent_at >= (SELECT timestamptz 'epoch' + :fromMs * interval '1 millisecond')
          AND sent_at < (SELECT clock_timestamp() - interval '1 minute')
        ORDER BY sent_at
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
      ), gone AS (
        DELETE FROM trunkline.producer_progress
        WHERE ctid = ANY (ARRAY(
          SELECT seen.tid
          FROM seen
          WHERE seen.sequence < (
            SELECT newest.sequence
            FROM trunkline.producer_progress newest
            WHERE newest.producer_id = seen.producer_id
            ORDER BY newest.sequence DESC
            LIMIT 1)))
      )
      SELECT count(*), coalesce(floor(extract(epoch FROM max(sent_at)) * 1000)::bigint, :fromMs)
      FROM seen
      """;

  /** What a step has looked at. */
  record Pruned(int seen, long upToMs) {}

  static Pruned duplicates(Session session, long fromMs, int limit) {
    return pruned(session, DUPLICATES, fromMs, limit);
  }

  static Pruned progress(Session session, long fromMs, int limit) {
    return pruned(session, PROGRESS, fromMs, limit);
  }

  private static Pruned pruned(Session session, String sql, long fromMs, int limit) {
    return session
        .relaxed(sql)
        .bind("fromMs", fromMs)
        .bind("limit", limit)
        .list(row -> new Pruned(row.getInt(1), row.getLong(2)))
        .get(0);
  }
}
