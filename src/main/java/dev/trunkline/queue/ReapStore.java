package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Taking back what was never settled. */
final class ReapStore {
  private ReapStore() {}

  /**
   * Leases that have expired, oldest first; TAKE_BACK decides. Those that somebody has locked, a
   * transactional handler for one, are passed over, so that they do not fill the page. Unless
   * everything is to be looked at it begins ten seconds back, so that the dead entries of leases
   * that were acked long ago are not walked. The bounds are subqueries: a volatile function by
   * itself is no condition of an index, and all leases would be read.
   */
  private static final String EXPIRED =
      """
      SELECT id
      FROM trunkline.lease
      WHERE visible_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
        AND visible_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
      ORDER BY visible_at
      LIMIT :limit
      FOR UPDATE SKIP LOCKED
      """;

  /**
   * Leases of processes that have not been heard of for longer than they promised, but for those
   * that are locked.
   */
  private static final String ORPHANED =
      """
      SELECT lease.id
      FROM trunkline.lease
      WHERE lease.consumer_id = :consumerId
      LIMIT :limit
      FOR UPDATE SKIP LOCKED
      """;

  /**
   * Takes one lease back, unless someone has it locked (it is being settled or renewed at this
   * moment) or it was extended meanwhile. Orphaned leases are taken whether expired or not.
   */
  private static final String TAKE_BACK =
      """
      DELETE FROM trunkline.lease
      WHERE id = ANY (ARRAY(
        SELECT id
        FROM trunkline.lease
        WHERE id = :leaseId AND (:orphaned OR visible_at <= coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
        FOR UPDATE SKIP LOCKED))
      RETURNING queue_id, ids, deliveries, acquired, key
      """;

  /** A lease that was taken back; whoever takes back that of a key has its baton to pass on. */
  record TakenBack(
      int queueId, Long[] ids, Integer[] deliveries, Integer[] acquired, @Nullable String key) {
    static TakenBack of(ResultSet row) throws SQLException {
      return new TakenBack(
          row.getInt("queue_id"),
          (Long[]) row.getArray("ids").getArray(),
          (Integer[]) row.getArray("deliveries").getArray(),
          (Integer[]) row.getArray("acquired").getArray(),
          row.getString("key"));
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

  static List<Long> orphaned(Session session, long consumerId, int limit) {
    return session
        .relaxed(ORPHANED)
        .bind("consumerId", consumerId)
        .bind("limit", limit)
        .list(row -> row.getLong(1));
  }

  static Optional<TakenBack> takeBack(
      Session session, long leaseId, boolean orphaned, @Nullable Instant now) {
    return session
        .relaxed(TAKE_BACK)
        .bind("leaseId", leaseId)
        .bind("orphaned", orphaned)
        .bind("nowMs", now == null ? -1 : now.toEpochMilli())
        .list(TakenBack::of)
        .stream()
        .findFirst();
  }
}
