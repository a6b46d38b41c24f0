package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Segments: which records have which offsets. */
final class SegmentStore {
  private SegmentStore() {}

  /**
   * The bounds of a partition, and its segments that hold offsets of a range. One step into the
   * primary key, whatever the length of the log. Answers one row without a segment if there is
   * none; nothing if there is no such partition.
   */
  private static final String FROM_OFFSET =
      """
      SELECT
        p.log_start,
        coalesce((
          SELECT newest.base_offset + cardinality(newest.ids)
          FROM trunkline.segment newest
          WHERE newest.topic_id = :topicId AND newest.partition = :partition
          ORDER BY newest.base_offset DESC
          LIMIT 1), p.log_start) AS log_end,
        s.base_offset,
        s.appended_at,
        s.bytes,
        s.ids
      FROM trunkline.topic_partition p
      LEFT JOIN LATERAL (
        SELECT base_offset, appended_at, bytes, ids
        FROM trunkline.segment
        WHERE segment.topic_id = :topicId
          AND segment.partition = :partition
          AND segment.base_offset >= coalesce((
            SELECT holder.base_offset
            FROM trunkline.segment holder
            WHERE holder.topic_id = :topicId AND holder.partition = :partition AND holder.base_offset <= :fromOffset
            ORDER BY holder.base_offset DESC
            LIMIT 1), 0)
          AND segment.base_offset < :beforeOffset
        ORDER BY segment.base_offset
      ) s ON true
      WHERE p.topic_id = :topicId AND p.partition = :partition
      """;

  /**
   * Per partition the first offset that was appended at a time or later; its end if there is none.
   * Index: segment_time_idx, one step per partition: append times never fall, and it has the order
   * that is asked for, so that no statistics make another index look as good.
   */
  private static final String FOR_TIME =
      """
      SELECT
        p.partition,
        greatest(p.log_start, coalesce((
          SELECT s.base_offset
          FROM trunkline.segment s
          WHERE s.topic_id = :topicId
            AND s.partition = p.partition
            AND s.appended_at >= timestamptz 'epoch' + :timeUs * interval '1 microsecond'
          ORDER BY s.appended_at, s.base_offset
          LIMIT 1), (
          SELECT newest.base_offset + cardinality(newest.ids)
          FROM trunkline.segment newest
          WHERE newest.topic_id = :topicId AND newest.partition = p.partition
          ORDER BY newest.base_offset DESC
          LIMIT 1), 0)) AS first_offset
      FROM trunkline.topic_partition p
      WHERE p.topic_id = :topicId
      """;

  private static final String LOG_START =
      """
      SELECT log_start
      FROM trunkline.topic_partition
      WHERE topic_id = :topicId AND partition = :partition
      """;

  /**
   * A run of offsets.
   *
   * @param ids the i-th record has the offset base + i
   */
  record Segment(long base, Instant appendedAt, int bytes, long[] ids) {
    /** Null if there is none in this row. */
    static @Nullable Segment of(ResultSet row) throws SQLException {
      long base = row.getLong("base_offset");
      return row.wasNull()
          ? null
          : new Segment(
              base,
              row.getObject("appended_at", OffsetDateTime.class).toInstant(),
              row.getInt("bytes"),
              Arrays.stream((Long[]) row.getArray("ids").getArray())
                  .mapToLong(Long::longValue)
                  .toArray());
    }

    long end() {
      return base + ids.length;
    }
  }

  /** The bounds of a partition, and a segment of it if there is one. */
  record Found(long logStart, long logEnd, @Nullable Segment segment) {
    static Found of(ResultSet row) throws SQLException {
      return new Found(row.getLong("log_start"), row.getLong("log_end"), Segment.of(row));
    }
  }

  static List<Found> fromOffset(
      Session session, int topicId, int partition, long fromOffset, long beforeOffset) {
    return session
        .relaxed(FROM_OFFSET)
        .bind("topicId", topicId)
        .bind("partition", partition)
        .bind("fromOffset", fromOffset)
        .bind("beforeOffset", beforeOffset)
        .list(Found::of);
  }

  /** The first offset that is there; 0 if there is no such partition. */
  static long logStart(Session session, int topicId, int partition) {
    return session
        .statement(LOG_START)
        .bind("topicId", topicId)
        .bind("partition", partition)
        .list(row -> row.getLong(1))
        .stream()
        .findFirst()
        .orElse(0L);
  }

  static Map<Integer, Long> forTime(Session session, int topicId, long timeUs) {
    Map<Integer, Long> offsets = new TreeMap<>();
    session
        .relaxed(FOR_TIME)
        .bind("topicId", topicId)
        .bind("timeUs", timeUs)
        .list(row -> Map.entry(row.getInt(1), row.getLong(2)))
        .forEach(entry -> offsets.put(entry.getKey(), entry.getValue()));
    return offsets;
  }
}
