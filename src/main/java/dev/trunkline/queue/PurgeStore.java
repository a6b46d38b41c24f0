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

  /** Waits for claims that are under way; what they took is found among the leases. */
  private static final String READY =
      """
      WITH gone AS (
        DELETE FROM trunkline.ready
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.ready
          WHERE queue_id = :queueId AND ids[1] <= :upTo
          LIMIT :limit
          FOR UPDATE))
        RETURNING ids
      ), messages AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT unnest(ids) FROM gone))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, ready)
        SELECT :queueId, -sum(cardinality(ids))
        FROM gone
        HAVING count(*) > 0
      )
      SELECT coalesce(sum(cardinality(ids)), 0) FROM gone
      """;

  private static final String SCHEDULED =
      """
      WITH gone AS (
        DELETE FROM trunkline.scheduled
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.scheduled
          WHERE queue_id = :queueId AND id <= :upTo
          ORDER BY due_at, id
          LIMIT :limit
          FOR UPDATE))
        RETURNING id
      ), messages AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM gone))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, scheduled)
        SELECT :queueId, -count(*)
        FROM gone
        HAVING count(*) > 0
      )
      SELECT count(*) FROM gone
      """;

  /**
   * Whole leases, if one of their messages was there when the purge began: whoever settles them
   * later is told that the lease is lost. A lease made later, of later messages, stays.
   */
  private static final String IN_FLIGHT =
      """
      WITH gone AS (
        DELETE FROM trunkline.lease
        WHERE id = ANY (ARRAY(
          SELECT id
          FROM trunkline.lease
          WHERE queue_id = :queueId AND (SELECT max(u.id) FROM unnest(ids) AS u(id)) <= :upTo
          ORDER BY id
          LIMIT :limit
          FOR UPDATE))
        RETURNING ids
      ), messages AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT unnest(ids) FROM gone))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight)
        SELECT :queueId, -sum(cardinality(ids))
        FROM gone
        HAVING count(*) > 0
      )
      SELECT coalesce(sum(cardinality(ids)), 0) FROM gone
      """;

  static long newestId(Session session) {
    return session.statement(NEWEST).list(row -> row.getLong(1)).get(0);
  }

  static long ready(Session session, int queueId, long upTo, int limit) {
    return step(session, READY, queueId, upTo, limit);
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
