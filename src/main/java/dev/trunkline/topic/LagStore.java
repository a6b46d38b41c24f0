package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.time.Duration;
import java.util.List;

/** The statement that says how far a group is behind. */
final class LagStore {
  private LagStore() {}

  /**
   * Per partition of the topic, whether the group knows it yet or not: one step into each of the
   * commits, the end of the segments, and the segment of the committed offset. No segment is longer
   * than 200, so the last one that begins 200 before holds it, if any does. What a shared group has
   * claimed or keeps waiting counts, too; of another group that is not looked at.
   */
  private static final String LAG =
      """
      SELECT
        log.partition,
        come.committed,
        log.log_end,
        greatest(log.log_end - greatest(come.committed, log.log_start), 0) + held.records AS records,
        coalesce((extract(epoch FROM clock_timestamp() - (
          SELECT s.appended_at
          FROM trunkline.segment s
          WHERE s.topic_id = :topicId
            AND s.partition = log.partition
            AND s.base_offset > held.oldest - 200
            AND s.base_offset + cardinality(s.ids) > held.oldest
          ORDER BY s.base_offset
          LIMIT 1)) * 1000)::bigint, 0) AS time_ms
      FROM (
        SELECT
          p.partition,
          p.log_start,
          coalesce((
            SELECT s.base_offset + cardinality(s.ids)
            FROM trunkline.segment s
            WHERE s.topic_id = p.topic_id AND s.partition = p.partition
            ORDER BY s.base_offset DESC
            LIMIT 1), p.log_start) AS log_end
        FROM trunkline.topic_partition p
        WHERE p.topic_id = :topicId
      ) log
      CROSS JOIN LATERAL (
        SELECT coalesce((
          SELECT c.committed
          FROM trunkline.group_commit c
          WHERE c.group_id = :groupId AND c.partition = log.partition
          ORDER BY c.id DESC
          LIMIT 1), log.log_start) AS committed
      ) come
      CROSS JOIN LATERAL (
        SELECT
          coalesce(sum(mine.records), 0) AS records,
          least(come.committed, min(mine.oldest)) AS oldest
        FROM (
          SELECT
            (
              SELECT coalesce(sum(cardinality(l.ids)), 0)
              FROM trunkline.shared_lease l
              WHERE l.group_id = g.id AND l.partition = log.partition) + (
              SELECT count(*)
              FROM trunkline.shared_waiting w
              WHERE w.group_id = g.id AND w.partition = log.partition) AS records,
            trunkline.lowest_in_hand(g.id, log.partition, log.log_start) AS oldest
          FROM trunkline.consumer_group g
          WHERE g.id = :groupId AND g.kind = 'SHARED'
        ) mine
      ) held
      ORDER BY log.partition
      """;

  static List<PartitionLag> lag(Session session, int topicId, int groupId) {
    return session
        .statement(LAG)
        .bind("topicId", topicId)
        .bind("groupId", groupId)
        .list(
            row ->
                new PartitionLag(
                    row.getInt("partition"),
                    row.getLong("committed"),
                    row.getLong("log_end"),
                    row.getLong("records"),
                    Duration.ofMillis(Math.max(0, row.getLong("time_ms")))));
  }
}
