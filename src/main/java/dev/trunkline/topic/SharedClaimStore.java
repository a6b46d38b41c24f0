package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Claiming for shared groups: from the log, or from what waits, into a lease. */
final class SharedClaimStore {
  private SharedClaimStore() {}

  /**
   * Claims the next records of one partition: those beyond its cursor.
   *
   * <p>Two statements, one transaction, behind their settings. The first locks the row of one
   * partition that has records to claim and that nobody else has locked, looking through them from
   * :first on, around. The second, whose snapshot is therefore newer than the last holder's commit,
   * reads the cursor, cuts what the segments have next, and writes the lease and the new cursor. As
   * one statement it would read the cursor as it was before it had the lock, and deliver twice.
   *
   * <p>Looks at the ends of two indexes per partition, lazily, until it has found one; then from
   * the segment that holds the cursor, :maxSegments at most. What retention has dropped is skipped.
   * A member that has been declared dead gets nothing, and nobody anything of a paused group.
   * Answers the records, or one row without a lease that says whether the group is paused, and
   * whether there was something, but in other hands at this moment.
   */
  private static final String CLAIM =
      """
      SELECT
        set_config('synchronous_commit', 'off', true),
        set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true),
        set_config('enable_sort', 'off', true),
        set_config('plan_cache_mode', 'force_generic_plan', true),
        set_config('jit', 'off', true);

      SELECT set_config('trunkline.partition', coalesce((
        SELECT locked.partition
        FROM (VALUES (:first, 2147483647), (0, :first)) AS lane(from_partition, to_partition)
        CROSS JOIN LATERAL (
          SELECT p.partition
          FROM trunkline.group_partition p
          WHERE p.group_id = :groupId
            AND EXISTS (SELECT 1 FROM trunkline.consumer_group WHERE id = :groupId AND NOT paused)
            AND p.partition >= lane.from_partition
            AND p.partition < lane.to_partition
            AND (
              SELECT s.base_offset + cardinality(s.ids)
              FROM trunkline.segment s
              WHERE s.topic_id = :topicId AND s.partition = p.partition
              ORDER BY s.base_offset DESC
              LIMIT 1) > (
              SELECT c.committed
              FROM trunkline.group_commit c
              WHERE c.group_id = p.group_id AND c.partition = p.partition
              ORDER BY c.id DESC
              LIMIT 1)
          ORDER BY p.partition
          LIMIT 1
          FOR UPDATE SKIP LOCKED
        ) locked
        LIMIT 1), -1)::text, true);

      WITH flow AS MATERIALIZED (
        SELECT paused FROM trunkline.consumer_group WHERE id = :groupId
      ), place AS MATERIALIZED (
        SELECT p.partition, p.epoch, greatest(t.log_start, c.committed) AS from_offset, c.committed
        FROM trunkline.group_partition p
        JOIN trunkline.topic_partition t ON t.topic_id = :topicId AND t.partition = p.partition
        CROSS JOIN LATERAL (
          SELECT newest.committed
          FROM trunkline.group_commit newest
          WHERE newest.group_id = p.group_id AND newest.partition = p.partition
          ORDER BY newest.id DESC
          LIMIT 1) c
        WHERE p.group_id = :groupId
          AND p.partition = current_setting('trunkline.partition')::integer
          AND NOT (SELECT paused FROM flow)
          AND EXISTS (SELECT 1 FROM trunkline.group_member WHERE id = :memberId)
      ), item AS MATERIALIZED (
        SELECT
          place.partition,
          s.base_offset + u.position - 1 AS "offset",
          u.id,
          s.appended_at,
          row_number() OVER in_order AS number,
          sum(s.bytes / cardinality(s.ids)) OVER in_order AS bytes_so_far
        FROM place
        CROSS JOIN LATERAL (
          SELECT segment.base_offset, segment.appended_at, segment.bytes, segment.ids
          FROM trunkline.segment
          WHERE segment.topic_id = :topicId
            AND segment.partition = place.partition
            AND segment.base_offset >= coalesce((
              SELECT holder.base_offset
              FROM trunkline.segment holder
              WHERE holder.topic_id = :topicId
                AND holder.partition = place.partition
                AND holder.base_offset <= place.from_offset
              ORDER BY holder.base_offset DESC
              LIMIT 1), 0)
          ORDER BY segment.base_offset
          LIMIT :maxSegments
        ) s
        CROSS JOIN LATERAL unnest(s.ids) WITH ORDINALITY AS u(id, position)
        WHERE s.base_offset + u.position - 1 >= place.from_offset
        WINDOW in_order AS (ORDER BY s.base_offset, u.position ROWS UNBOUNDED PRECEDING)
      ), chosen AS MATERIALIZED (
        SELECT *
        FROM item
        WHERE number <= :maxRecords AND (number = 1 OR bytes_so_far <= :maxBytes)
      ), leased AS (
        INSERT INTO trunkline.shared_lease (member_id, visible_at, group_id, partition, offsets, ids)
        SELECT
          :memberId,
          now() + coalesce(
            nullif(:visibilityTimeoutMs, -1) * interval '1 millisecond',
            (SELECT visibility_timeout FROM trunkline.consumer_group WHERE id = :groupId)),
          :groupId,
          min(partition),
          array_agg("offset" ORDER BY number),
          array_agg(id ORDER BY number)
        FROM chosen
        HAVING count(*) > 0
        RETURNING id, (extract(epoch FROM visible_at - now()) * 1000)::bigint AS hidden_for_ms
      ), moved AS (
        INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
        SELECT :groupId, place.partition, (SELECT max("offset") + 1 FROM chosen), place.epoch
        FROM place
        WHERE EXISTS (SELECT 1 FROM chosen)
      )
      SELECT
        (SELECT id FROM leased) AS lease_id,
        (SELECT hidden_for_ms FROM leased) AS hidden_for_ms,
        chosen.partition,
        chosen."offset",
        chosen.id,
        chosen.appended_at,
        0 AS deliveries,
        1 AS acquired,
        -1::bigint AS redelivery_id,
        (SELECT greatest(from_offset - committed, 0) FROM place) AS skipped,
        false AS busy,
        false AS paused
      FROM chosen
      UNION ALL
      SELECT
        -1, 0, -1, -1, -1, NULL, 0, 0, -1, 0,
        EXISTS (
          SELECT 1
          FROM trunkline.group_partition p
          WHERE p.group_id = :groupId
            AND NOT (SELECT paused FROM flow)
            AND (
              SELECT s.base_offset + cardinality(s.ids)
              FROM trunkline.segment s
              WHERE s.topic_id = :topicId AND s.partition = p.partition
              ORDER BY s.base_offset DESC
              LIMIT 1) > (
              SELECT c.committed
              FROM trunkline.group_commit c
              WHERE c.group_id = p.group_id AND c.partition = p.partition
              ORDER BY c.id DESC
              LIMIT 1)),
        coalesce((SELECT paused FROM flow), false)
      WHERE NOT EXISTS (SELECT 1 FROM chosen)
      """;

  /**
   * Claims what waits and is due, oldest first, into one lease per partition; each dead letter that
   * came back has one of its own. Locks only rows that nobody else has locked, and reaches them by
   * ctid afterwards, which is safe since they are locked. Unless everything is to be looked at it
   * begins ten seconds back, so that what was claimed long ago is not walked. The bounds are
   * subqueries: a volatile function by itself is no condition of an index.
   */
  private static final String CLAIM_DUE =
      """
      WITH due AS MATERIALIZED (
        DELETE FROM trunkline.shared_waiting
        WHERE ctid = ANY (ARRAY(
          SELECT w.ctid
          FROM trunkline.shared_waiting w
          WHERE w.group_id = :groupId
            AND w.due_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            AND w.due_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
            AND EXISTS (SELECT 1 FROM trunkline.group_member WHERE id = :memberId)
            AND EXISTS (SELECT 1 FROM trunkline.consumer_group WHERE id = :groupId AND NOT paused)
          ORDER BY w.due_at
          LIMIT :maxRecords
          FOR UPDATE SKIP LOCKED))
        RETURNING partition, "offset", record_id, deliveries, acquired, redelivery_id
      ), leased AS (
        INSERT INTO trunkline.shared_lease (
          member_id, visible_at, group_id, partition, offsets, ids, deliveries, acquired, redelivery_id)
        SELECT
          :memberId,
          now() + coalesce(
            nullif(:visibilityTimeoutMs, -1) * interval '1 millisecond',
            (SELECT visibility_timeout FROM trunkline.consumer_group WHERE id = :groupId)),
          :groupId,
          partition,
          array_agg("offset" ORDER BY "offset"),
          array_agg(record_id ORDER BY "offset"),
          array_agg(deliveries ORDER BY "offset"),
          array_agg(acquired + 1 ORDER BY "offset"),
          redelivery_id
        FROM due
        GROUP BY partition, redelivery_id
        RETURNING id, partition, offsets, ids, deliveries, acquired, redelivery_id,
          (extract(epoch FROM visible_at - now()) * 1000)::bigint AS hidden_for_ms
      )
      SELECT
        leased.id AS lease_id,
        leased.hidden_for_ms,
        leased.partition,
        u."offset",
        u.id,
        (
          SELECT s.appended_at
          FROM trunkline.segment s
          WHERE s.topic_id = :topicId AND s.partition = leased.partition AND s.base_offset <= u."offset"
          ORDER BY s.base_offset DESC
          LIMIT 1) AS appended_at,
        u.deliveries,
        u.acquired,
        coalesce(leased.redelivery_id, -1) AS redelivery_id,
        0 AS skipped,
        false AS busy,
        false AS paused
      FROM leased
      CROSS JOIN LATERAL unnest(leased.offsets, leased.ids, leased.deliveries, leased.acquired)
        AS u("offset", id, deliveries, acquired)
      """;

  /**
   * When the next waiting record of a group is due, in milliseconds; like CLAIM_DUE. Of a paused
   * one nothing is.
   */
  private static final String NEXT_DUE =
      """
      SELECT (extract(epoch FROM greatest(due_at - clock_timestamp(), interval '0')) * 1000)::bigint
      FROM trunkline.shared_waiting
      WHERE group_id = :groupId
        AND due_at >= (SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
        AND EXISTS (SELECT 1 FROM trunkline.consumer_group WHERE id = :groupId AND NOT paused)
      ORDER BY due_at
      LIMIT 1
      """;

  /** What one claim is asked for. */
  record Request(
      int topicId,
      int groupId,
      long memberId,
      long visibilityTimeoutMs,
      int maxRecords,
      long maxBytes) {}

  /**
   * A row of a claim.
   *
   * @param leaseId -1 if nothing was claimed
   * @param appendedAt null if its segment has been dropped
   * @param redeliveryId -1 for a record of the log
   * @param skipped how many offsets before it retention had dropped
   * @param busy whether there was something, in other hands
   * @param paused whether nothing was claimed because the group is paused
   */
  record Claimed(
      long leaseId,
      long hiddenForMs,
      int partition,
      long offset,
      long id,
      @Nullable Instant appendedAt,
      int deliveries,
      int acquired,
      long redeliveryId,
      long skipped,
      boolean busy,
      boolean paused) {

    static Claimed of(ResultSet row) throws SQLException {
      OffsetDateTime appendedAt = row.getObject("appended_at", OffsetDateTime.class);
      return new Claimed(
          row.getLong("lease_id"),
          row.getLong("hidden_for_ms"),
          row.getInt("partition"),
          row.getLong("offset"),
          row.getLong("id"),
          appendedAt == null ? null : appendedAt.toInstant(),
          row.getInt("deliveries"),
          row.getInt("acquired"),
          row.getLong("redelivery_id"),
          row.getLong("skipped"),
          row.getBoolean("busy"),
          row.getBoolean("paused"));
    }
  }

  /** Looks at the partitions from this one on, then at those before it. */
  static List<Claimed> claim(Session session, Request request, int firstPartition) {
    return bound(session.third(CLAIM), request)
        .bind("maxBytes", request.maxBytes())
        .bind("first", firstPartition)
        .bind("maxSegments", MAX_SEGMENTS)
        .list(Claimed::of);
  }

  /** Looks at what waits; now null means the database's clock. */
  static List<Claimed> claimDue(
      Session session, Request request, boolean everything, @Nullable Instant now) {
    return bound(session.relaxed(CLAIM_DUE), request)
        .bind("everything", everything)
        .bind("nowMs", now == null ? -1 : now.toEpochMilli())
        .list(Claimed::of);
  }

  static Optional<Long> nextDueInMs(Session session, int groupId, boolean everything) {
    return session
        .relaxed(NEXT_DUE)
        .bind("groupId", groupId)
        .bind("everything", everything)
        .list(row -> row.getLong(1))
        .stream()
        .findFirst();
  }

  /** Under a trickle they hold a record or two each. */
  private static final int MAX_SEGMENTS = 64;

  private static Session.Rows bound(Session.Rows statement, Request request) {
    return statement
        .bind("topicId", request.topicId())
        .bind("groupId", request.groupId())
        .bind("memberId", request.memberId())
        .bind("visibilityTimeoutMs", request.visibilityTimeoutMs())
        .bind("maxRecords", request.maxRecords());
  }
}
