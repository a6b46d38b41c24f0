package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Collection;
import java.util.List;

/**
 * Settling for shared groups: out of the lease, to nowhere or to waiting.
 *
 * <p>All are fenced by the lease's id: what the lease no longer holds is not touched, and the
 * answer tells. Acks are one statement; the rest is TAKE (out of the lease) and then RETURN or
 * {@link SharedDeathStore}, in one transaction.
 */
final class SharedSettleStore {
  private SharedSettleStore() {}

  /**
   * Acks whole leases: what they hold is done with. A lease that holds other records than its
   * holder believes is left alone: a crash of the server has undone a settle, or the claim, whose
   * id another claim then got. Locks the leases in the order of their ids (an index scan by an
   * array visits it sorted). Answers the leases that were deleted.
   */
  private static final String ACK_ALL =
      """
      WITH done AS (
        DELETE FROM trunkline.shared_lease
        WHERE id = ANY (:leaseIds::bigint[])
          AND cardinality(ids) = (:counts::integer[])[array_position(:leaseIds::bigint[], id)]
          AND ids[1] = (:firstIds::bigint[])[array_position(:leaseIds::bigint[], id)]
          AND ids[cardinality(ids)] = (:lastIds::bigint[])[array_position(:leaseIds::bigint[], id)]
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

  /**
   * Acks some records of one lease, which shrinks, or goes when nothing is left. Locks the lease
   * row first, so that the reaper, which skips locked rows, and this statement exclude each other.
   * Answers the records that were still held.
   */
  private static final String ACK_SOME =
      """
      WITH held AS MATERIALIZED (
        SELECT group_id, partition, offsets, ids, deliveries, acquired, redelivery_id
        FROM trunkline.shared_lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT u."offset", u.id, u.deliveries, u.acquired, u.id = ANY (:recordIds::bigint[]) AS settled
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
        WHERE NOT settled
      ), shrunk AS (
        UPDATE trunkline.shared_lease
        SET offsets = kept.offsets, ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE shared_lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.shared_lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT settled)
      ), back AS (
        DELETE FROM trunkline.group_redelivery r
        USING held
        JOIN item ON item.settled
        WHERE r.group_id = held.group_id
          AND r.partition = held.partition
          AND r."offset" = item."offset"
          AND r.id = held.redelivery_id
      )
      SELECT id FROM item WHERE settled
      """;

  /**
   * Takes some records out of a lease, for RETURN or the dead letters later in the same
   * transaction. Locks the lease row. Answers what was still held, with its counts.
   */
  private static final String TAKE =
      """
      WITH held AS MATERIALIZED (
        SELECT partition, offsets, ids, deliveries, acquired, redelivery_id
        FROM trunkline.shared_lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT
          u."offset",
          u.id,
          coalesce(u.deliveries, 0) AS deliveries,
          coalesce(u.acquired, 1) AS acquired,
          u.id = ANY (:recordIds::bigint[]) AS settled
        FROM held
        CROSS JOIN LATERAL unnest(held.offsets, held.ids, held.deliveries, held.acquired)
          AS u("offset", id, deliveries, acquired)
      ), kept AS (
        SELECT
          array_agg("offset" ORDER BY "offset") AS offsets,
          array_agg(id ORDER BY "offset") AS ids,
          array_agg(deliveries ORDER BY "offset") AS deliveries,
          array_agg(acquired ORDER BY "offset") AS acquired
        FROM item
        WHERE NOT settled
      ), shrunk AS (
        UPDATE trunkline.shared_lease
        SET offsets = kept.offsets, ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE shared_lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.shared_lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT settled)
      )
      SELECT
        held.partition, item."offset", item.id, item.deliveries, item.acquired,
        coalesce(held.redelivery_id, -1) AS redelivery_id
      FROM item
      CROSS JOIN held
      WHERE item.settled
      """;

  /** Puts records that were taken out of a lease where they wait; zero delay means due at once. */
  private static final String RETURN =
      """
      INSERT INTO trunkline.shared_waiting (
        due_at, group_id, partition, "offset", record_id, deliveries, acquired, redelivery_id)
      SELECT
        clock_timestamp() + i.delay_ms * interval '1 millisecond',
        :groupId, i.partition, i."offset", i.id, i.deliveries, i.acquired, nullif(i.redelivery_id, -1)
      FROM unnest(
        :partitions::integer[], :offsets::bigint[], :ids::bigint[], :deliveries::integer[], :acquired::integer[],
        :redeliveryIds::bigint[], :delaysMs::bigint[])
        AS i(partition, "offset", id, deliveries, acquired, redelivery_id, delay_ms)
      """;

  /** Hides leases for longer, counted from now. Answers those still held. */
  private static final String EXTEND =
      """
      UPDATE trunkline.shared_lease
      SET visible_at = clock_timestamp() + :visibilityTimeoutMs * interval '1 millisecond'
      WHERE id = ANY (:leaseIds::bigint[])
      RETURNING id
      """;

  /** A lease of its own for a record that was taken out of another one in this transaction. */
  private static final String LEASE_APART =
      """
      INSERT INTO trunkline.shared_lease (
        member_id, visible_at, group_id, partition, offsets, ids, deliveries, acquired, redelivery_id)
      VALUES (
        :memberId,
        clock_timestamp() + :visibilityTimeoutMs * interval '1 millisecond',
        :groupId,
        :partition,
        ARRAY[:offset::bigint],
        ARRAY[:recordId::bigint],
        ARRAY[:deliveries::integer],
        ARRAY[:acquired::integer],
        nullif(:redeliveryId::bigint, -1))
      RETURNING id
      """;

  /**
   * A record taken out of a lease.
   *
   * @param redeliveryId -1 for a record of the log
   */
  record Item(
      int partition, long offset, long id, int deliveries, int acquired, long redeliveryId) {
    static Item of(ResultSet row) throws SQLException {
      return new Item(
          row.getInt("partition"),
          row.getLong("offset"),
          row.getLong("id"),
          row.getInt("deliveries"),
          row.getInt("acquired"),
          row.getLong("redelivery_id"));
    }
  }

  /** An item on its way back, the deliveries it goes back with, and how long it waits. */
  record Returned(Item item, int deliveries, long delayMs) {}

  /**
   * What the holder of a lease believes that it holds.
   *
   * @param firstId the id of the record of the lowest offset
   * @param lastId the id of the record of the highest offset
   */
  record Whole(long leaseId, int count, long firstId, long lastId) {}

  static List<Long> ackAll(Session session, Collection<Whole> leases) {
    return session
        .relaxed(ACK_ALL)
        .bindArray("leaseIds", leases.stream().mapToLong(Whole::leaseId).toArray())
        .bindArray("counts", leases.stream().mapToInt(Whole::count).toArray())
        .bindArray("firstIds", leases.stream().mapToLong(Whole::firstId).toArray())
        .bindArray("lastIds", leases.stream().mapToLong(Whole::lastId).toArray())
        .list(row -> row.getLong(1));
  }

  static List<Long> ackSome(Session session, long leaseId, long[] recordIds) {
    return session
        .relaxed(ACK_SOME)
        .bind("leaseId", leaseId)
        .bindArray("recordIds", recordIds)
        .list(row -> row.getLong(1));
  }

  static List<Item> take(Session session, long leaseId, long[] recordIds) {
    return session
        .relaxed(TAKE)
        .bind("leaseId", leaseId)
        .bindArray("recordIds", recordIds)
        .list(Item::of);
  }

  static void putBack(Session session, int groupId, List<Returned> returned) {
    session
        .relaxed(RETURN)
        .bind("groupId", groupId)
        .bindArray("partitions", returned.stream().mapToInt(r -> r.item().partition()).toArray())
        .bindArray("offsets", returned.stream().mapToLong(r -> r.item().offset()).toArray())
        .bindArray("ids", returned.stream().mapToLong(r -> r.item().id()).toArray())
        .bindArray("deliveries", returned.stream().mapToInt(Returned::deliveries).toArray())
        .bindArray("acquired", returned.stream().mapToInt(r -> r.item().acquired()).toArray())
        .bindArray(
            "redeliveryIds", returned.stream().mapToLong(r -> r.item().redeliveryId()).toArray())
        .bindArray("delaysMs", returned.stream().mapToLong(Returned::delayMs).toArray())
        .run();
  }

  static List<Long> extend(Session session, long[] leaseIds, long visibilityTimeoutMs) {
    return session
        .relaxed(EXTEND)
        .bindArray("leaseIds", leaseIds)
        .bind("visibilityTimeoutMs", visibilityTimeoutMs)
        .list(row -> row.getLong(1));
  }

  static long leaseApart(
      Session session, int groupId, long memberId, Item item, long visibilityTimeoutMs) {
    return session
        .relaxed(LEASE_APART)
        .bind("memberId", memberId)
        .bind("groupId", groupId)
        .bind("partition", item.partition())
        .bind("offset", item.offset())
        .bind("recordId", item.id())
        .bind("deliveries", item.deliveries())
        .bind("acquired", item.acquired())
        .bind("redeliveryId", item.redeliveryId())
        .bind("visibilityTimeoutMs", visibilityTimeoutMs)
        .list(row -> row.getLong(1))
        .get(0);
  }
}
