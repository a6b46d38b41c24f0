package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The statements that say how far groups are behind. */
final class LagStore {
  private LagStore() {}

  /**
   * Of one group, or of all groups of all topics if groupId is -1; per partition of the topic,
   * whether the group knows it yet or not: one step into each of the commits, the end of the
   * segments, and the segment of the committed offset. No segment is longer than 200, so the last
   * one that begins 200 before holds it, if any does. What shared groups have claimed or keep
   * waiting counts, too, and is read once, from end to end.
   */
  private static final String LAG =
      """
      WITH in_hand AS MATERIALIZED (
        SELECT hand.group_id, hand.partition, sum(hand.records) AS records, min(hand.oldest) AS oldest
        FROM (
          SELECT
            l.group_id,
            l.partition,
            cardinality(l.ids) AS records,
            (
              SELECT min(u."offset")
              FROM unnest(l.offsets) AS u("offset")
              WHERE l.redelivery_id IS NULL AND u."offset" >= p.log_start) AS oldest
          FROM trunkline.shared_lease l
          JOIN trunkline.consumer_group g ON g.id = l.group_id
          JOIN trunkline.topic_partition p ON p.topic_id = g.topic_id AND p.partition = l.partition
          WHERE :groupId = -1 OR l.group_id = :groupId
          UNION ALL
          SELECT
            w.group_id,
            w.partition,
            1,
            CASE WHEN w.redelivery_id IS NULL AND w."offset" >= p.log_start THEN w."offset" END
          FROM trunkline.shared_waiting w
          JOIN trunkline.consumer_group g ON g.id = w.group_id
          JOIN trunkline.topic_partition p ON p.topic_id = g.topic_id AND p.partition = w.partition
          WHERE :groupId = -1 OR w.group_id = :groupId
        ) hand
        GROUP BY hand.group_id, hand.partition
      )
      SELECT
        t.name AS topic,
        g.name AS group_name,
        p.partition,
        come.committed,
        log.log_end,
        greatest(log.log_end - greatest(come.committed, p.log_start), 0) + coalesce(in_hand.records, 0) AS records,
        coalesce((extract(epoch FROM clock_timestamp() - (
          SELECT s.appended_at
          FROM trunkline.segment s
          WHERE s.topic_id = g.topic_id
            AND s.partition = p.partition
            AND s.base_offset > least(come.committed, in_hand.oldest) - 200
            AND s.base_offset + cardinality(s.ids) > least(come.committed, in_hand.oldest)
          ORDER BY s.base_offset
          LIMIT 1)) * 1000)::bigint, 0) AS time_ms
      FROM trunkline.topic t
      JOIN trunkline.consumer_group g ON g.topic_id = t.id
      JOIN trunkline.topic_partition p ON p.topic_id = t.id
      CROSS JOIN LATERAL (
        SELECT coalesce((
          SELECT s.base_offset + cardinality(s.ids)
          FROM trunkline.segment s
          WHERE s.topic_id = p.topic_id AND s.partition = p.partition
          ORDER BY s.base_offset DESC
          LIMIT 1), p.log_start) AS log_end
        OFFSET 0) log
      CROSS JOIN LATERAL (
        SELECT coalesce((
          SELECT c.committed
          FROM trunkline.group_commit c
          WHERE c.group_id = g.id AND c.partition = p.partition
          ORDER BY c.id DESC
          LIMIT 1), p.log_start) AS committed
        OFFSET 0) come
      LEFT JOIN in_hand ON in_hand.group_id = g.id AND in_hand.partition = p.partition
      WHERE t.deleted_at IS NULL AND (:groupId = -1 OR g.id = :groupId)
      ORDER BY t.name, g.name, p.partition
      """;

  /** Where a lag is. */
  private record Place(String topic, String group) {}

  /** In the order of the partitions; nothing if there is no such group. */
  static List<PartitionLag> lag(Session session, int groupId) {
    return session.relaxed(LAG).bind("groupId", groupId).list(LagStore::partition);
  }

  /** In the order of their names. */
  static List<GroupLag> lags(Session session) {
    Map<Place, List<PartitionLag>> lags = new LinkedHashMap<>();
    session
        .relaxed(LAG)
        .bind("groupId", -1)
        .list(
            row ->
                Map.entry(
                    new Place(row.getString("topic"), row.getString("group_name")), partition(row)))
        .forEach(
            lag ->
                lags.computeIfAbsent(lag.getKey(), place -> new ArrayList<>()).add(lag.getValue()));
    return lags.entrySet().stream()
        .map(lag -> new GroupLag(lag.getKey().topic(), lag.getKey().group(), lag.getValue()))
        .toList();
  }

  private static PartitionLag partition(ResultSet row) throws SQLException {
    return new PartitionLag(
        row.getInt("partition"),
        row.getLong("committed"),
        row.getLong("log_end"),
        row.getLong("records"),
        Duration.ofMillis(Math.max(0, row.getLong("time_ms"))));
  }
}
