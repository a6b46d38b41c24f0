package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;

/** Statements of the compaction: see {@link Compactor}. */
final class CompactionStore {
  private CompactionStore() {}

  /** Half of the key of the advisory lock; the other half is the topic. "TrLc" in ASCII. */
  private static final int LOCK = 0x54724c63;

  /** One process at a time compacts a topic. The transaction's end gives it back. */
  private static final String TRY_LOCK =
      """
      SELECT pg_try_advisory_xact_lock(:lock, :topicId)
      """;

  /**
   * Per partition where to go on, whether there is something to look at that is old enough, and up
   * to which offset tombstones have stayed for long enough. A few steps into indexes for each: the
   * end of compaction's, the beginning of segment_time_idx's living part.
   */
  private static final String PARTITIONS =
      """
      SELECT
        p.partition,
        p.log_start,
        next.next_offset,
        coalesce(last.id, 0) AS step_id,
        EXISTS (
          SELECT
          FROM trunkline.segment s
          WHERE s.topic_id = :topicId
            AND s.partition = p.partition
            AND s.base_offset = next.next_offset
            AND s.appended_at <= clock_timestamp() - :lagMs * interval '1 millisecond') AS has_more,
        least(next.next_offset, coalesce((
          SELECT s.base_offset
          FROM trunkline.segment s
          WHERE s.topic_id = :topicId
            AND s.partition = p.partition
            AND s.appended_at > clock_timestamp() - :tombstoneMs * interval '1 millisecond'
          ORDER BY s.appended_at, s.base_offset
          LIMIT 1), next.next_offset)) AS tombstones_end
      FROM trunkline.topic_partition p
      LEFT JOIN LATERAL (
        SELECT id, next_offset
        FROM trunkline.compaction c
        WHERE c.topic_id = :topicId AND c.partition = p.partition
        ORDER BY c.id DESC
        LIMIT 1) last ON true
      CROSS JOIN LATERAL (SELECT greatest(p.log_start, last.next_offset) AS next_offset) next
      WHERE p.topic_id = :topicId
      ORDER BY p.partition
      """;

  /** Whole segments that are old enough, from an offset on where one begins. */
  private static final String SEGMENTS =
      """
      SELECT base_offset, ids
      FROM trunkline.segment
      WHERE topic_id = :topicId
        AND partition = :partition
        AND base_offset >= :fromOffset
        AND appended_at <= clock_timestamp() - :lagMs * interval '1 millisecond'
      ORDER BY base_offset
      LIMIT :maxSegments
      """;

  /** What records are about, without their payloads; records without a key are left alone. */
  private static final String KEYS =
      """
      SELECT id, key, payload IS NULL AS is_tombstone
      FROM trunkline.record
      WHERE topic_id = :topicId
        AND id = ANY (:ids::bigint[])
        AND id BETWEEN :firstId AND :lastId
        AND key IS NOT NULL
      """;

  /** The newest records so far of the keys with these hashes, and of others that share one. */
  private static final String LATEST =
      """
      SELECT "offset", record_id, is_tombstone, key
      FROM trunkline.latest_by_key
      WHERE topic_id = :topicId AND partition = :partition AND key_hash = ANY (:hashes::bigint[])
      """;

  /** Records of one chunk, so that the planner opens no other. Their ids stay in the segments. */
  private static final String REMOVE =
      """
      DELETE FROM trunkline.record
      WHERE topic_id = :topicId
        AND id = ANY (:ids::bigint[])
        AND id BETWEEN :firstId AND :lastId
      RETURNING id
      """;

  private static final String FORGET =
      """
      DELETE FROM trunkline.latest_by_key
      WHERE topic_id = :topicId AND partition = :partition AND "offset" = ANY (:offsets::bigint[])
      RETURNING "offset"
      """;

  private static final String REMEMBER =
      """
      INSERT INTO trunkline.latest_by_key (topic_id, partition, "offset", record_id, key_hash, is_tombstone, key)
      SELECT :topicId, :partition, u.latest, u.id, u.hash, u.is_tombstone, u.key
      FROM unnest(:offsets::bigint[], :ids::bigint[], :hashes::bigint[], :tombstones::boolean[], :keys::text[])
        AS u(latest, id, hash, is_tombstone, key)
      RETURNING "offset"
      """;

  /** Appends how far the partition has been looked at; the step before goes. */
  private static final String STEP =
      """
      WITH before AS (
        DELETE FROM trunkline.compaction WHERE topic_id = :topicId AND partition = :partition AND id = :stepId
      )
      INSERT INTO trunkline.compaction (topic_id, partition, next_offset)
      VALUES (:topicId, :partition, :nextOffset)
      RETURNING id
      """;

  /** The newest of their keys, but tombstones, and old enough. From where the last look ended. */
  private static final String TOMBSTONES =
      """
      SELECT "offset", record_id, is_tombstone, key
      FROM trunkline.latest_by_key
      WHERE topic_id = :topicId
        AND partition = :partition
        AND is_tombstone
        AND "offset" >= :fromOffset
        AND "offset" < :endOffset
      ORDER BY "offset"
      LIMIT :limit
      """;

  /** What retention has dropped, in the state. From where the last look ended. */
  private static final String FORGET_DROPPED =
      """
      DELETE FROM trunkline.latest_by_key
      WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM trunkline.latest_by_key
        WHERE topic_id = :topicId
          AND partition = :partition
          AND "offset" >= :fromOffset
          AND "offset" < :endOffset
        ORDER BY "offset"
        LIMIT :limit))
      RETURNING "offset"
      """;

  /**
   * How far a partition is.
   *
   * @param nextOffset the next offset to look at
   * @param stepId of the row that says so, 0 if there is none
   * @param hasMore whether there is something old enough to look at
   * @param tombstonesEnd tombstones before this offset have stayed for long enough
   */
  record Progress(
      int partition,
      long logStart,
      long nextOffset,
      long stepId,
      boolean hasMore,
      long tombstonesEnd) {
    static Progress of(ResultSet row) throws SQLException {
      return new Progress(
          row.getInt("partition"),
          row.getLong("log_start"),
          row.getLong("next_offset"),
          row.getLong("step_id"),
          row.getBoolean("has_more"),
          row.getLong("tombstones_end"));
    }
  }

  /** A segment's ids; the i-th has the offset base + i. */
  record Segment(long base, long[] ids) {
    long end() {
      return base + ids.length;
    }
  }

  /** What a record is about. */
  record Keyed(long id, String key, boolean isTombstone) {}

  /** The newest record of a key. */
  record Latest(long offset, long recordId, boolean isTombstone, String key) {
    static Latest of(ResultSet row) throws SQLException {
      return new Latest(
          row.getLong("offset"),
          row.getLong("record_id"),
          row.getBoolean("is_tombstone"),
          row.getString("key"));
    }
  }

  static boolean tryLock(Session session, int topicId) {
    return session
        .statement(TRY_LOCK)
        .bind("lock", LOCK)
        .bind("topicId", topicId)
        .list(row -> row.getBoolean(1))
        .get(0);
  }

  static List<Progress> partitions(Session session, int topicId, Compaction compaction) {
    return session
        .relaxed(PARTITIONS)
        .bind("topicId", topicId)
        .bind("lagMs", compaction.lag().toMillis())
        .bind("tombstoneMs", compaction.tombstoneRetention().toMillis())
        .list(Progress::of);
  }

  static List<Segment> segments(
      Session session, int topicId, Progress from, Compaction compaction, int maxSegments) {
    return session
        .relaxed(SEGMENTS)
        .bind("topicId", topicId)
        .bind("partition", from.partition())
        .bind("fromOffset", from.nextOffset())
        .bind("lagMs", compaction.lag().toMillis())
        .bind("maxSegments", maxSegments)
        .list(
            row ->
                new Segment(
                    row.getLong("base_offset"),
                    Arrays.stream((Long[]) row.getArray("ids").getArray())
                        .mapToLong(Long::longValue)
                        .toArray()));
  }

  /**
   * @param ids sorted, not empty
   */
  static List<Keyed> keys(Session session, int topicId, long[] ids) {
    return ranged(session.replanned(KEYS), topicId, ids)
        .list(row -> new Keyed(row.getLong(1), row.getString(2), row.getBoolean(3)));
  }

  static List<Latest> latest(Session session, int topicId, int partition, long[] hashes) {
    return session
        .relaxed(LATEST)
        .bind("topicId", topicId)
        .bind("partition", partition)
        .bindArray("hashes", hashes)
        .list(Latest::of);
  }

  /**
   * Answers how many there were.
   *
   * @param ids of one chunk, sorted, not empty
   */
  static int remove(Session session, int topicId, long[] ids) {
    return ranged(session.replanned(REMOVE), topicId, ids).list(row -> row.getLong(1)).size();
  }

  static void forget(Session session, int topicId, int partition, long[] offsets) {
    session
        .relaxed(FORGET)
        .bind("topicId", topicId)
        .bind("partition", partition)
        .bindArray("offsets", offsets)
        .run();
  }

  static void remember(
      Session session, int topicId, int partition, List<Latest> latest, long[] hashes) {
    boolean[] tombstones = new boolean[latest.size()];
    for (int i = 0; i < tombstones.length; i++) {
      tombstones[i] = latest.get(i).isTombstone();
    }
    session
        .relaxed(REMEMBER)
        .bind("topicId", topicId)
        .bind("partition", partition)
        .bindArray("offsets", latest.stream().mapToLong(Latest::offset).toArray())
        .bindArray("ids", latest.stream().mapToLong(Latest::recordId).toArray())
        .bindArray("hashes", hashes)
        .bindArray("tombstones", tombstones)
        .bindArray("keys", latest.stream().map(Latest::key).toArray(String[]::new))
        .run();
  }

  static void step(Session session, int topicId, Progress before, long nextOffset) {
    session
        .relaxed(STEP)
        .bind("topicId", topicId)
        .bind("partition", before.partition())
        .bind("stepId", before.stepId())
        .bind("nextOffset", nextOffset)
        .run();
  }

  static List<Latest> tombstones(
      Session session, int topicId, Progress partition, long fromOffset, int limit) {
    return session
        .relaxed(TOMBSTONES)
        .bind("topicId", topicId)
        .bind("partition", partition.partition())
        .bind("fromOffset", fromOffset)
        .bind("endOffset", partition.tombstonesEnd())
        .bind("limit", limit)
        .list(Latest::of);
  }

  /** Answers how many there were, at most the limit. */
  static int forgetDropped(
      Session session, int topicId, Progress partition, long fromOffset, int limit) {
    return session
        .relaxed(FORGET_DROPPED)
        .bind("topicId", topicId)
        .bind("partition", partition.partition())
        .bind("fromOffset", fromOffset)
        .bind("endOffset", partition.logStart())
        .bind("limit", limit)
        .list(row -> row.getLong(1))
        .size();
  }

  private static Session.Rows ranged(Session.Rows statement, int topicId, long[] ids) {
    return statement
        .bind("topicId", topicId)
        .bindArray("ids", ids)
        .bind("firstId", ids[0])
        .bind("lastId", ids[ids.length - 1]);
  }
}
