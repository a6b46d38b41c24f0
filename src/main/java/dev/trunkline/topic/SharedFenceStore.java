package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Settling for shared groups as part of a transaction that is not only ours: a lease for each
 * record, so that its row can be locked for as long as that transaction lasts.
 */
final class SharedFenceStore {
  private SharedFenceStore() {}

  /**
   * Gives records of a lease leases of their own, with the same holder and the same end. Locks the
   * lease row. Answers the new leases. A dead letter that came back has one from the beginning, so
   * there is no redelivery to take along.
   */
  private static final String APART =
      """
      WITH held AS MATERIALIZED (
        SELECT member_id, visible_at, group_id, partition, offsets, ids, deliveries, acquired
        FROM trunkline.shared_lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT u."offset", u.id, u.deliveries, u.acquired, u.id = ANY (:recordIds::bigint[]) AS apart
        FROM held
        CROSS JOIN LATERAL unnest(held.offsets, held.ids, held.deliveries, held.acquired)
          AS u("offset", id, deliveries, acquired)
      ), kept AS (
        SELECT
          array_agg("offset" ORDER BY "offset") AS offsets,
          array_agg(id ORDER BY "offset") AS ids,
          array_agg(coalesce(deliveries, 0) ORDER BY "offset") AS deliveries,
          array_agg(coalesce(acquired, 1) ORDER BY "offset") AS acquired
        FROM item
        WHERE NOT apart
      ), shrunk AS (
        UPDATE trunkline.shared_lease
        SET offsets = kept.offsets, ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE shared_lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.shared_lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT apart)
      ), leased AS (
        INSERT INTO trunkline.shared_lease (
          member_id, visible_at, group_id, partition, offsets, ids, deliveries, acquired)
        SELECT
          held.member_id, held.visible_at, held.group_id, held.partition,
          ARRAY[item."offset"], ARRAY[item.id],
          ARRAY[coalesce(item.deliveries, 0)], ARRAY[coalesce(item.acquired, 1)]
        FROM held
        CROSS JOIN item
        WHERE item.apart
        RETURNING id, ids[1] AS record_id
      )
      SELECT id, record_id FROM leased
      """;

  /**
   * The fence: first statement of a transaction that will ack the record. The lock is the one that
   * a foreign key takes: it keeps the reaper and other settles away until the transaction ends, and
   * lets renewals pass, which change no key. Answers nothing if the lease is gone.
   *
   * <p>A transaction that is idle for longer than a delivery is hidden is ended by the server: that
   * is how the lock of a process that froze, or was cut off, comes free. A stricter limit stays.
   */
  private static final String HOLD =
      """
      SELECT
        shared_lease.id,
        set_config('idle_in_transaction_session_timeout', least(
          :idleMs,
          nullif((extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval) * 1000)::bigint, 0)
        )::text, true)
      FROM trunkline.shared_lease
      WHERE shared_lease.id = :leaseId AND shared_lease.ids = ARRAY[:recordId::bigint]
      FOR KEY SHARE
      """;

  /**
   * Acks the record of a lease of its own: last statement of that transaction, or first and last in
   * a caller's. Answers nothing if the lease is gone, or holds anything else: a crash of the server
   * may have undone what took the others out of it.
   */
  private static final String ACK =
      """
      WITH done AS (
        DELETE FROM trunkline.shared_lease
        WHERE id = :leaseId AND ids = ARRAY[:recordId::bigint]
        RETURNING id, group_id, partition, offsets, redelivery_id
      ), back AS (
        DELETE FROM trunkline.group_redelivery r
        USING done
        WHERE r.group_id = done.group_id
          AND r.partition = done.partition
          AND r."offset" = done.offsets[1]
          AND r.id = done.redelivery_id
      )
      SELECT id FROM done
      """;

  /** Fails at once, rather than waits, if a transaction that has not ended has acked the record. */
  private static final String PROBE =
      """
      SELECT id
      FROM trunkline.shared_lease
      WHERE id = :leaseId
      FOR UPDATE NOWAIT
      """;

  /** Answers the new leases by the record in each. */
  static Map<Long, Long> apart(Session session, long leaseId, long[] recordIds) {
    List<long[]> leased =
        session
            .relaxed(APART)
            .bind("leaseId", leaseId)
            .bindArray("recordIds", recordIds)
            .list(row -> new long[] {row.getLong("record_id"), row.getLong("id")});
    return leased.stream().collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
  }

  static boolean hold(Session session, long leaseId, long recordId, long idleMs) {
    return answersLease(session.pinned(HOLD).bind("idleMs", idleMs), leaseId, recordId);
  }

  static boolean ack(Session session, long leaseId, long recordId) {
    return answersLease(session.pinned(ACK), leaseId, recordId);
  }

  static void probe(Session session, long leaseId) {
    session.relaxed(PROBE).bind("leaseId", leaseId).run();
  }

  private static boolean answersLease(Session.Rows statement, long leaseId, long recordId) {
    return !statement
        .bind("leaseId", leaseId)
        .bind("recordId", recordId)
        .list(row -> row.getLong(1))
        .isEmpty();
  }
}
