package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Settling as part of a transaction that is not only ours: a lease for each message, so that its
 * row can be locked for as long as that transaction lasts.
 */
final class FenceStore {
  private FenceStore() {}

  /**
   * Gives messages of a lease leases of their own, with the same holder and the same end. Locks the
   * lease row. Answers the new leases.
   */
  private static final String APART =
      """
      WITH held AS MATERIALIZED (
        SELECT consumer_id, claimed_at, visible_at, queue_id, ids, deliveries, acquired
        FROM trunkline.lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT u.id, u.deliveries, u.acquired, u.id = ANY (:messageIds::bigint[]) AS apart
        FROM held
        CROSS JOIN LATERAL unnest(held.ids, held.deliveries, held.acquired) AS u(id, deliveries, acquired)
      ), kept AS (
        SELECT array_agg(id) AS ids, array_agg(deliveries) AS deliveries, array_agg(acquired) AS acquired
        FROM item
        WHERE NOT apart
      ), shrunk AS (
        UPDATE trunkline.lease
        SET ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT apart)
      ), leased AS (
        INSERT INTO trunkline.lease (consumer_id, claimed_at, visible_at, queue_id, ids, deliveries, acquired)
        SELECT
          held.consumer_id, held.claimed_at, held.visible_at, held.queue_id,
          ARRAY[item.id], ARRAY[item.deliveries], ARRAY[item.acquired]
        FROM held
        CROSS JOIN item
        WHERE item.apart
        RETURNING id, ids[1] AS message_id
      )
      SELECT id, message_id FROM leased
      """;

  /**
   * The fence: first statement of a transaction that will ack the message. The lock is the one that
   * a foreign key takes: it keeps the reaper and other settles away until the transaction ends, and
   * lets renewals pass, which change no key. Answers nothing if the lease is gone.
   *
   * <p>A transaction that is idle for longer than a delivery is hidden is ended by the server: that
   * is how the lock of a process that froze, or was cut off, comes free. A stricter limit stays.
   */
  private static final String HOLD =
      """
      SELECT
        lease.id,
        set_config('idle_in_transaction_session_timeout', least(
          :idleMs,
          nullif((extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval) * 1000)::bigint, 0)
        )::text, true)
      FROM trunkline.lease
      WHERE lease.id = :leaseId AND lease.ids = ARRAY[:messageId::bigint]
      FOR KEY SHARE
      """;

  /**
   * Acks the message of a lease of its own: last statement of that transaction, or first and last
   * in a caller's. Answers nothing if the lease is gone, or holds anything else: a crash of the
   * server may have undone what took the others out of it.
   */
  private static final String ACK =
      """
      WITH done AS (
        DELETE FROM trunkline.lease
        WHERE id = :leaseId AND ids = ARRAY[:messageId::bigint]
        RETURNING id, queue_id, ids
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT unnest(ids) FROM done))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, acked)
        SELECT queue_id, -cardinality(ids), cardinality(ids)
        FROM done
      )
      SELECT id FROM done
      """;

  /**
   * Fails at once, rather than waits, if a transaction that has not ended has acked the message.
   */
  private static final String PROBE =
      """
      SELECT id
      FROM trunkline.lease
      WHERE id = :leaseId
      FOR UPDATE NOWAIT
      """;

  /** Answers the new leases by the message in each. */
  static Map<Long, Long> apart(Session session, long leaseId, long[] messageIds) {
    List<long[]> leased =
        session
            .relaxed(APART)
            .bind("leaseId", leaseId)
            .bindArray("messageIds", messageIds)
            .list(row -> new long[] {row.getLong("message_id"), row.getLong("id")});
    return leased.stream().collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
  }

  static boolean hold(Session session, long leaseId, long messageId, long idleMs) {
    return !session
        .pinned(HOLD)
        .bind("leaseId", leaseId)
        .bind("messageId", messageId)
        .bind("idleMs", idleMs)
        .list(row -> row.getLong(1))
        .isEmpty();
  }

  static boolean ack(Session session, long leaseId, long messageId) {
    return !session
        .pinned(ACK)
        .bind("leaseId", leaseId)
        .bind("messageId", messageId)
        .list(row -> row.getLong(1))
        .isEmpty();
  }

  static void probe(Session session, long leaseId) {
    session.relaxed(PROBE).bind("leaseId", leaseId).run();
  }
}
