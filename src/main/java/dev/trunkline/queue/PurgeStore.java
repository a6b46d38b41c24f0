package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;

/** Emptying a queue in bounded steps. */
final class PurgeStore {
  private PurgeStore() {}

  /** The newest id handed out so far: a purge leaves alone what is sent after it began. */
  private static final String NEWEST =
      """
      SELECT last_value FROM trunkline.message_id_seq
      """;

  /**
   * Waits for claims that are under way; what they took is found among the leases. Of a run that
   * newer messages share the rest is put back in its place.
   */
  private static final String READY =
      """
      WITH taken AS (
        DELETE FROM trunkline.ready
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.ready
          WHERE queue_id = :queueId AND (SELECT min(u.id) FROM unnest(ids) AS u(id)) <= :upTo
          LIMIT :limit
          FOR UPDATE))
        RETURNING *
      ), item AS MATERIALIZED (
        SELECT t.seq, t.bytes, t.priority, t.expires_at, u.*, u.id <= :upTo AS old
        FROM taken t
        CROSS JOIN LATERAL unnest(t.ids, t.deliveries, t.acquired) WITH ORDINALITY
          AS u(id, deliveries, acquired, position)
      ), newer AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, deliveries, acquired, expires_at)
        SELECT
          seq, :queueId, bytes, priority, array_agg(id ORDER BY position),
          array_agg(coalesce(deliveries, 0) ORDER BY position), array_agg(coalesce(acquired, 0) ORDER BY position),
          expires_at
        FROM item
        WHERE NOT old
        GROUP BY seq, bytes, priority, expires_at
        RETURNING bytes
      ), messages AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item WHERE old))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready)
        SELECT
          :queueId,
          (SELECT coalesce(sum(bytes), 0) FROM newer) - (SELECT coalesce(sum(bytes), 0) FROM taken),
          -count(*)
        FROM item
        WHERE old
        HAVING count(*) > 0
      )
      SELECT count(*) FROM item WHERE old
      """;

  /**
   * Waits for nobody, since claims may wait for it: what is being claimed is found among the
   * leases, by another round if need be. Parked keys stay parked.
   */
  private static final String LINE =
      """
      WITH gone AS (
        DELETE FROM trunkline.line
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.line
          WHERE queue_id = :queueId AND id <= :upTo
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING id, bytes
      ), messages AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM gone))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready)
        SELECT :queueId, -sum(bytes), -count(*)
        FROM gone
        HAVING count(*) > 0
      )
      SELECT count(*) FROM gone
      """;

  /**
   * Waits for one claim that is under way, while it holds nothing. Answers whether there was one.
   */
  private static final String AWAIT_LINE =
      """
      SELECT count(*)
      FROM (
        SELECT 1
        FROM trunkline.line
        WHERE queue_id = :queueId AND id <= :upTo
        LIMIT 1
        FOR UPDATE) waited
      """;

  /** What a deleted queue leaves of its keys, but for marks that open senders rely on. */
  private static final String KEYS =
      """
      WITH turns AS (
        DELETE FROM trunkline.turn
        WHERE queue_id = :queueId
        RETURNING 1
      ), later AS (
        DELETE FROM trunkline.turn_later
        WHERE queue_id = :queueId
        RETURNING 1
      ), opened AS (
        DELETE FROM trunkline.open_key
        WHERE queue_id = :queueId
        RETURNING 1
      ), marks AS (
        DELETE FROM trunkline.key_mark
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.key_mark
          WHERE queue_id = :queueId
          FOR UPDATE SKIP LOCKED))
        RETURNING 1
      ), parked AS (
        DELETE FROM trunkline.parked_line
        WHERE queue_id = :queueId
        RETURNING 1
      )
      SELECT
        (SELECT count(*) FROM turns) + (SELECT count(*) FROM later) + (SELECT count(*) FROM opened)
          + (SELECT count(*) FROM marks) + (SELECT count(*) FROM parked)
      """;

  private static final String SCHEDULED =
      """
      WITH gone AS (
        DELETE FROM trunkline.scheduled
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.scheduled
          WHERE queue_id = :queueId AND queue_id > 0 AND id <= :upTo
          ORDER BY due_at, id
          LIMIT :limit
          FOR UPDATE))
        RETURNING id, bytes
      ), messages AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM gone))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, scheduled)
        SELECT :queueId, -sum(bytes), -count(*)
        FROM gone
        HAVING count(*) > 0
      )
      SELECT count(*) FROM gone
      """;

  /**
   * Takes messages out of their leases: whoever settles them later is told that the lease is lost.
   * A lease made meanwhile may hold newer ones, which stay in it. That of a key passes on its
   * baton.
   */
  private static final String IN_FLIGHT =
      """
      WITH held AS MATERIALIZED (
        SELECT id, ids, deliveries, acquired, key
        FROM trunkline.lease
        WHERE queue_id = :queueId AND (SELECT min(u.id) FROM unnest(ids) AS u(id)) <= :upTo
        ORDER BY id
        LIMIT :limit
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT held.id AS lease_id, u.*, u.id <= :upTo AS old
        FROM held
        CROSS JOIN LATERAL unnest(held.ids, held.deliveries, held.acquired) AS u(id, deliveries, acquired)
      ), kept AS (
        SELECT
          lease_id, array_agg(id) AS ids, array_agg(deliveries) AS deliveries, array_agg(acquired) AS acquired
        FROM item
        WHERE NOT old
        GROUP BY lease_id
      ), shrunk AS (
        UPDATE trunkline.lease
        SET ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE lease.id = kept.lease_id
      ), emptied AS (
        DELETE FROM trunkline.lease
        WHERE id = ANY (ARRAY(SELECT id FROM held EXCEPT SELECT lease_id FROM kept))
        RETURNING key
      ), passed_on AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, key)
        SELECT nextval('trunkline.message_id_seq'), 0, :queueId, key
        FROM emptied
        WHERE key IS NOT NULL
      ), messages AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item WHERE old))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight)
        SELECT :queueId, -count(*)
        FROM item
        WHERE old
        HAVING count(*) > 0
      )
      SELECT count(*) FROM item WHERE old
      """;

  /**
   * What duplicates are recognised by, of messages that are removed. Waits for senders of
   * duplicates that have not committed.
   */
  private static final String REMEMBERED =
      """
      WITH gone AS (
        DELETE FROM trunkline.dedup
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.dedup
          WHERE queue_id = :queueId AND message_id <= :upTo
          LIMIT :limit
          FOR UPDATE))
        RETURNING 1
      )
      SELECT count(*) FROM gone
      """;

  /** The producers of a deleted queue, and how far they had come. */
  private static final String PRODUCERS =
      """
      WITH gone AS (
        DELETE FROM trunkline.producer
        WHERE queue_id = :queueId
        RETURNING id
      ), progress AS (
        DELETE FROM trunkline.producer_progress
        WHERE producer_id = ANY (ARRAY(SELECT id FROM gone))
      )
      SELECT count(*) FROM gone
      """;

  static void producers(Session session, int queueId) {
    session.relaxed(PRODUCERS).bind("queueId", queueId).run();
  }

  static long remembered(Session session, int queueId, long upTo, int limit) {
    return step(session, REMEMBERED, queueId, upTo, limit);
  }

  static long newestId(Session session) {
    return session.statement(NEWEST).list(row -> row.getLong(1)).get(0);
  }

  static long ready(Session session, int queueId, long upTo, int limit) {
    return step(session, READY, queueId, upTo, limit);
  }

  static long line(Session session, int queueId, long upTo, int limit) {
    return step(session, LINE, queueId, upTo, limit);
  }

  static boolean awaitLine(Session session, int queueId, long upTo) {
    return session
            .relaxed(AWAIT_LINE)
            .bind("queueId", queueId)
            .bind("upTo", upTo)
            .list(row -> row.getLong(1))
            .get(0)
        > 0;
  }

  static void keys(Session session, int queueId) {
    session.relaxed(KEYS).bind("queueId", queueId).run();
  }

  static long scheduled(Session session, int queueId, long upTo, int limit) {
    return step(session, SCHEDULED, queueId, upTo, limit);
  }

  static long inFlight(Session session, int queueId, long upTo, int limit) {
    return step(session, IN_FLIGHT, queueId, upTo, limit);
  }

  private static long step(Session session, String sql, int queueId, long upTo, int limit) {
    return session
        .relaxed(sql)
        .bind("queueId", queueId)
        .bind("upTo", upTo)
        .bind("limit", limit)
        .list(row -> row.getLong(1))
        .get(0);
  }
}
