package dev.trunkline.inbox;

import dev.trunkline.internal.db.Session;

/** Statements on {@code trunkline.inbox}. */
final class InboxStore {
  private InboxStore() {}

  /**
   * Remembers a key. Waits for a transaction that has inserted the same one and has not ended.
   * Answers nothing if it is there.
   */
  private static final String ADD =
      """
      INSERT INTO trunkline.inbox (forget_at, consumer, key)
      VALUES (clock_timestamp() + :retentionMs * interval '1 millisecond', :consumer, :key)
      ON CONFLICT DO NOTHING
      RETURNING 1
      """;

  /**
   * Deletes some of what is over, oldest first; those that another process is deleting are skipped.
   * Begins where the last step ended, so that what is dead is not walked again; the bounds are
   * subqueries, since a volatile function by itself is no condition of an index. Answers how many,
   * and the time of the last, in milliseconds since 1970. Index: inbox_forget_idx.
   */
  private static final String PRUNE =
      """
      WITH gone AS (
        DELETE FROM trunkline.inbox
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.inbox
          WHERE forget_at >= (SELECT timestamptz 'epoch' + :fromMs * interval '1 millisecond')
            AND forget_at < (SELECT clock_timestamp())
          ORDER BY forget_at
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING forget_at
      )
      SELECT count(*), coalesce(floor(extract(epoch FROM max(forget_at)) * 1000)::bigint, :fromMs)
      FROM gone
      """;

  /** What a step has deleted. */
  record Pruned(int count, long upToMs) {}

  static boolean add(Session session, String consumer, String key, long retentionMs) {
    return !session
        .statement(ADD)
        .bind("retentionMs", retentionMs)
        .bind("consumer", consumer)
        .bind("key", key)
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  static Pruned prune(Session session, long fromMs, int limit) {
    return session
        .relaxed(PRUNE)
        .bind("fromMs", fromMs)
        .bind("limit", limit)
        .list(row -> new Pruned(row.getInt(1), row.getLong(2)))
        .get(0);
  }
}
