package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.List;

/**
 * Settling: out of the lease, to nowhere, back to ready or scheduled, or to the dead letters.
 *
 * <p>All are fenced by the lease's id: what the lease no longer holds is not touched, and the
 * answer tells. Acks are one statement; the rest is TAKE (out of the lease) and then RETURN or
 * {@link dev.trunkline.deadletter.DeadLetterStore}, in one transaction.
 */
final class SettleStore {
  private SettleStore() {}

  /**
   * Acks whole leases: what they hold is deleted with them. A lease that holds another number of
   * messages than its holder believes is left alone: a crash of the server has undone a settle, so
   * that there is a message in it that nobody has acked. Locks the leases in the order of their ids
   * (an index scan by an array visits it sorted). Answers the leases that were deleted.
   */
  private static final String ACK_ALL =
      """
      WITH done AS (
        DELETE FROM trunkline.lease
        WHERE id = ANY (:leaseIds::bigint[])
          AND cardinality(ids) = (:counts::integer[])[array_position(:leaseIds::bigint[], id)]
        RETURNING id, queue_id, ids
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT unnest(ids) FROM done))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, acked)
        SELECT queue_id, -sum(cardinality(ids)), sum(cardinality(ids))
        FROM done
        GROUP BY queue_id
      )
      SELECT id FROM done
      """;

  /**
   * Acks some messages of one lease, which shrinks, or goes when nothing is left. Locks the lease
   * row first, so that the reaper, which skips locked rows, and this statement exclude each other.
   * Answers the messages that were still held.
   */
  private static final String ACK_SOME =
      """
      WITH held AS MATERIALIZED (
        SELECT queue_id, ids, deliveries, acquired
        FROM trunkline.lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT u.id, u.deliveries, u.acquired, u.id = ANY (:messageIds::bigint[]) AS settled
        FROM held
        CROSS JOIN LATERAL unnest(held.ids, held.deliveries, held.acquired) AS u(id, deliveries, acquired)
      ), kept AS (
        SELECT array_agg(id) AS ids, array_agg(deliveries) AS deliveries, array_agg(acquired) AS acquired
        FROM item
        WHERE NOT settled
      ), shrunk AS (
        UPDATE trunkline.lease
        SET ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT settled)
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item WHERE settled))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, acked)
        SELECT held.queue_id, -count(*), count(*)
        FROM held
        CROSS JOIN item
        WHERE item.settled
        GROUP BY held.queue_id
      )
      SELECT id FROM item WHERE settled
      """;

  /**
   * Takes some messages out of a lease, for RETURN or the dead letters later in the same
   * transaction. Locks the lease row. Answers what was still held, with its counts.
   */
  private static final String TAKE =
      """
      WITH held AS MATERIALIZED (
        SELECT queue_id, ids, deliveries, acquired
        FROM trunkline.lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT u.id, u.deliveries, u.acquired, u.id = ANY (:messageIds::bigint[]) AS settled
        FROM held
        CROSS JOIN LATERAL unnest(held.ids, held.deliveries, held.acquired) AS u(id, deliveries, acquired)
      ), kept AS (
        SELECT array_agg(id) AS ids, array_agg(deliveries) AS deliveries, array_agg(acquired) AS acquired
        FROM item
        WHERE NOT settled
      ), shrunk AS (
        UPDATE trunkline.lease
        SET ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT settled)
      )
      SELECT id, deliveries, acquired FROM item WHERE settled
      """;

  /**
   * Puts messages that were taken out of a lease back: into scheduled if they have to wait, else
   * into ready, at the end of their line, each a run of its own. Answers what became ready.
   */
  private static final String RETURN =
      """
      WITH item AS MATERIALIZED (
        SELECT i.id, i.deliveries, i.acquired, i.delay_ms, m.priority, m.bytes, m.expires_at
        FROM unnest(:ids::bigint[], :deliveries::integer[], :acquired::integer[], :delaysMs::bigint[])
          AS i(id, deliveries, acquired, delay_ms)
        CROSS JOIN LATERAL (
          SELECT priority, octet_length(payload) AS bytes, expires_at
          FROM trunkline.message
          WHERE message.id = i.id
          OFFSET 0) m
      ), later AS (
        INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority, deliveries, acquired, expires_at)
        SELECT
          id, clock_timestamp() + delay_ms * interval '1 millisecond', :queueId, bytes, priority, deliveries, acquired,
          expires_at
        FROM item
        WHERE delay_ms > 0
      ), readied AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, deliveries, acquired, expires_at)
        SELECT
          nextval('trunkline.message_id_seq'), :queueId, bytes, priority, ARRAY[id], ARRAY[deliveries],
          ARRAY[acquired], expires_at
        FROM item
        WHERE delay_ms <= 0
        RETURNING seq, priority
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, waiting_bytes, scheduled, ready)
        SELECT
          :queueId,
          -cardinality(:ids::bigint[]),
          (SELECT coalesce(sum(bytes), 0) FROM item),
          (SELECT count(*) FROM item WHERE delay_ms > 0),
          (SELECT count(*) FROM item WHERE delay_ms <= 0)
      )
      SELECT priority, min(seq) AS first, max(seq) AS last
      FROM readied
      GROUP BY priority
      """;

  /** Hides leases for longer, counted from now. Answers those still held. */
  private static final String EXTEND =
      """
      UPDATE trunkline.lease
      SET visible_at = clock_timestamp() + :visibilityTimeoutMs * interval '1 millisecond'
      WHERE id = ANY (:leaseIds::bigint[])
      RETURNING id
      """;

  /** A lease of its own for a message that was taken out of another one in this transaction. */
  private static final String LEASE_APART =
      """
      INSERT INTO trunkline.lease (consumer_id, visible_at, queue_id, ids, deliveries, acquired)
      VALUES (
        :consumerId,
        clock_timestamp() + :visibilityTimeoutMs * interval '1 millisecond',
        :queueId,
        ARRAY[:messageId::bigint],
        ARRAY[:deliveries::integer],
        ARRAY[:acquired::integer])
      RETURNING id
      """;

  /** A message taken out of a lease. */
  record Held(long id, int deliveries, int acquired) {}

  static List<Long> ackAll(Session session, long[] leaseIds, int[] counts) {
    return session
        .relaxed(ACK_ALL)
        .bindArray("leaseIds", leaseIds)
        .bindArray("counts", counts)
        .list(row -> row.getLong(1));
  }

  static List<Long> ackSome(Session session, long leaseId, long[] messageIds) {
    return session
        .relaxed(ACK_SOME)
        .bind("leaseId", leaseId)
        .bindArray("messageIds", messageIds)
        .list(row -> row.getLong(1));
  }

  static List<Held> take(Session session, long leaseId, long[] messageIds) {
    return session
        .relaxed(TAKE)
        .bind("leaseId", leaseId)
        .bindArray("messageIds", messageIds)
        .list(row -> new Held(row.getLong(1), row.getInt(2), row.getInt(3)));
  }

  static List<Lanes.Announced> putBack(Session session, int queueId, List<Returned> messages) {
    return session
        .relaxed(RETURN)
        .bind("queueId", queueId)
        .bindArray("ids", messages.stream().mapToLong(Returned::id).toArray())
        .bindArray("deliveries", messages.stream().mapToInt(Returned::deliveries).toArray())
        .bindArray("acquired", messages.stream().mapToInt(Returned::acquired).toArray())
        .bindArray("delaysMs", messages.stream().mapToLong(Returned::delayMs).toArray())
        .list(row -> new Lanes.Announced(row.getInt(1), row.getLong(2), row.getLong(3)));
  }

  static List<Long> extend(Session session, long[] leaseIds, long visibilityTimeoutMs) {
    return session
        .relaxed(EXTEND)
        .bindArray("leaseIds", leaseIds)
        .bind("visibilityTimeoutMs", visibilityTimeoutMs)
        .list(row -> row.getLong(1));
  }

  static long leaseApart(
      Session session, long consumerId, int queueId, Held held, long visibilityTimeoutMs) {
    return session
        .relaxed(LEASE_APART)
        .bind("consumerId", consumerId)
        .bind("queueId", queueId)
        .bind("messageId", held.id())
        .bind("deliveries", held.deliveries())
        .bind("acquired", held.acquired())
        .bind("visibilityTimeoutMs", visibilityTimeoutMs)
        .list(row -> row.getLong(1))
        .get(0);
  }

  /** A message on its way back, with the counts it goes back with. */
  record Returned(long id, int deliveries, int acquired, long delayMs) {}
}
