package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Taking back what members of shared groups never settled. */
final class SharedReapStore {
  private SharedReapStore() {}

  /**
   * Leases that have expired, oldest first; TAKE_BACK decides. Those that somebody has locked, a
   * transactional handler for one, are passed over, so that they do not fill the page. Unless
   * everything is to be looked at it begins ten seconds back, so that the dead entries of leases
   * that were settled long ago are not walked. The bounds are subqueries: a volatile function by
   * itself is no condition of an index.
   */
  private static final String EXPIRED =
      """
      SELECT id
      FROM trunkline.shared_lease
      WHERE visible_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
        AND visible_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
      ORDER BY visible_at
      LIMIT :limit
      FOR UPDATE SKIP LOCKED
      """;

  /** Members of shared groups that have been silent for longer than they promised. Few rows. */
  private static final String SILENT =
      """
      SELECT m.id
      FROM trunkline.group_member m
      JOIN trunkline.consumer_group g ON g.id = m.group_id
      WHERE g.kind = 'SHARED'
        AND coalesce((
          SELECT b.beat_at
          FROM trunkline.member_heartbeat b
          WHERE b.member_id = m.id
          ORDER BY b.beat_at DESC
          LIMIT 1), m.joined_at) < clock_timestamp() - m.session_timeout
      """;

  /** Leases of a member, but for those that are locked. */
  private static final String HELD_BY =
      """
      SELECT id
      FROM trunkline.shared_lease
      WHERE member_id = :memberId
      LIMIT :limit
      FOR UPDATE SKIP LOCKED
      """;

  /**
   * Removes a member, unless it has leases: one that a transaction has locked could not be taken
   * back yet. Answers whether it is gone.
   */
  private static final String REMOVE =
      """
      WITH leaving AS MATERIALIZED (
        SELECT :memberId::bigint AS id
        WHERE NOT EXISTS (SELECT 1 FROM trunkline.shared_lease WHERE member_id = :memberId)
      ), gone AS (
        DELETE FROM trunkline.group_member
        WHERE id = (SELECT id FROM leaving)
      ), beats AS (
        DELETE FROM trunkline.member_heartbeat
        WHERE member_id = (SELECT id FROM leaving)
      )
      SELECT id FROM leaving
      """;

  /**
   * Takes one lease back, unless someone has it locked (it is being settled or renewed at this
   * moment) or it was extended meanwhile. Those of the dead are taken whether expired or not.
   */
  private static final String TAKE_BACK =
      """
      WITH taken AS (
        DELETE FROM trunkline.shared_lease
        WHERE id = ANY (ARRAY(
          SELECT id
          FROM trunkline.shared_lease
          WHERE id = :leaseId
            AND (:orphaned OR visible_at <= coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
          FOR UPDATE SKIP LOCKED))
        RETURNING group_id, partition, offsets, ids, deliveries, acquired, redelivery_id
      )
      SELECT
        taken.group_id,
        taken.partition,
        u."offset",
        u.id,
        coalesce(u.deliveries, 0) AS deliveries,
        coalesce(u.acquired, 1) AS acquired,
        coalesce(taken.redelivery_id, -1) AS redelivery_id
      FROM taken
      CROSS JOIN LATERAL unnest(taken.offsets, taken.ids, taken.deliveries, taken.acquired)
        AS u("offset", id, deliveries, acquired)
      """;

  /** A record of a lease that was taken back. */
  record TakenBack(int groupId, SharedSettleStore.Item item) {
    static TakenBack of(ResultSet row) throws SQLException {
      return new TakenBack(row.getInt("group_id"), SharedSettleStore.Item.of(row));
    }
  }

  static List<Long> expired(Session session, boolean everything, @Nullable Instant now, int limit) {
    return session
        .relaxed(EXPIRED)
        .bind("everything", everything)
        .bind("nowMs", now == null ? -1 : now.toEpochMilli())
        .bind("limit", limit)
        .list(row -> row.getLong(1));
  }

  static List<Long> silent(Session session) {
    return session.relaxed(SILENT).list(row -> row.getLong(1));
  }

  static List<Long> heldBy(Session session, long memberId, int limit) {
    return session
        .relaxed(HELD_BY)
        .bind("memberId", memberId)
        .bind("limit", limit)
        .list(row -> row.getLong(1));
  }

  /** Answers whether it is gone. */
  static boolean remove(Session session, long memberId) {
    return !session
        .relaxed(REMOVE)
        .bind("memberId", memberId)
        .list(row -> row.getLong(1))
        .isEmpty();
  }

  /** Answers what the lease held; nothing if it was not taken. */
  static List<TakenBack> takeBack(
      Session session, long leaseId, boolean orphaned, @Nullable Instant now) {
    return session
        .relaxed(TAKE_BACK)
        .bind("leaseId", leaseId)
        .bind("orphaned", orphaned)
        .bind("nowMs", now == null ? -1 : now.toEpochMilli())
        .list(TakenBack::of);
  }
}
