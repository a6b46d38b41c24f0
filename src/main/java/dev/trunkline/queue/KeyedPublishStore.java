package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.List;

/** Sending to a queue where messages wait by key. */
final class KeyedPublishStore {
  private KeyedPublishStore() {}

  /**
   * Puts what has been {@code placed} (id, key, bytes, expires_at) into the lines of its keys, and
   * announces all keys but those that are {@code known}: by an arrival, for the claimers, and a
   * mark. A mark says to senders that the key has been announced, and to whoever claims from it
   * from where on there may be something that he has not seen. Part of a statement.
   *
   * <p>Known is a key that has a mark which is still there when it is locked. The lock is one that
   * senders share, until the transaction ends; a mark that cannot be had at once is none, so nobody
   * waits. At REPEATABLE READ and above marks may be long gone, and locking one that is would fail.
   * Index: key_mark_pkey.
   */
  static final String JOIN_LINES =
      """
      asked AS MATERIALIZED (
        SELECT DISTINCT key
        FROM placed
      ), known AS MATERIALIZED (
        SELECT asked.key
        FROM asked
        CROSS JOIN LATERAL (
          SELECT mark.id
          FROM trunkline.key_mark mark
          WHERE mark.queue_id = :queueId AND mark.key = asked.key
          LIMIT 1
          FOR KEY SHARE SKIP LOCKED
        ) mark
        WHERE current_setting('transaction_isolation') IN ('read committed', 'read uncommitted')
      ), lined AS (
        INSERT INTO trunkline.line (id, expires_at, queue_id, bytes, key)
        SELECT id, expires_at, :queueId, bytes, key
        FROM placed
      ), fresh AS MATERIALIZED (
        SELECT key, min(id) AS first
        FROM placed
        WHERE key NOT IN (SELECT known.key FROM known)
        GROUP BY key
      ), marked AS (
        INSERT INTO trunkline.key_mark (first_id, queue_id, key)
        SELECT first, :queueId, key
        FROM fresh
      ), arrived AS (
        INSERT INTO trunkline.turn (seq, queue_id, key)
        SELECT first, :queueId, key
        FROM fresh
      )
      """;

  /**
   * Stores messages that wait by key, ready at once. Its ids are drawn by the statement that sees
   * the marks: whoever has put a mark there knew of none that was drawn later.
   *
   * <p>Ids are handed out in the order of the arrays. Answers nothing if the queue was deleted.
   */
  private static final String SEND =
      """
      WITH placed AS (
        INSERT INTO trunkline.message (queue_id, priority, key, type, content_type, headers, payload)
        SELECT q.id, m.priority, m.key, m.type, m.content_type, jsonb_object(m.headers::text[]), m.payload
        FROM trunkline.queue q
        CROSS JOIN unnest(
          :payloads::bytea[], :priorities::smallint[], :keys::text[], :types::text[], :contentTypes::text[],
          :headers::text[]) AS m(payload, priority, key, type, content_type, headers)
        WHERE q.id = :queueId AND q.deleted_at IS NULL
        RETURNING id, key COLLATE "C" AS key, octet_length(payload) AS bytes, expires_at
      ),
      """
          + JOIN_LINES
          + """
      , counted AS (
        INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, ready)
        SELECT :queueId, count(*), sum(bytes), count(*)
        FROM placed
        HAVING count(*) > 0
      )
      SELECT id, 0::bigint AS due_in_ms
      FROM placed
      """;

  static List<PublishStore.Stored> store(Session session, int queueId, OutgoingBatch batch) {
    return session
        .lasting(SEND)
        .bind("queueId", queueId)
        .bindArray("payloads", batch.payloads())
        .bindArray("priorities", batch.priorities())
        .bindArray("keys", batch.keys())
        .bindArray("types", batch.types())
        .bindArray("contentTypes", batch.contentTypes())
        .bindArray("headers", batch.headers())
        .list(row -> new PublishStore.Stored(row.getLong("id"), row.getLong("due_in_ms"), true));
  }
}
