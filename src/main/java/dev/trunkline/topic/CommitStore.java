package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Statements on how far groups have come. */
final class CommitStore {
  private CommitStore() {}

  /**
   * Appends positions of partitions that are the member's under these epochs, and answers those. A
   * partition that is not is left out: that is the fence. The share lock holds a rebalance off
   * until this commits. One row of group_partition and one step into it per partition.
   */
  private static final String COMMIT =
      """
      WITH held AS (
        SELECT p.partition, h.committed, p.epoch
        FROM unnest(:partitions::integer[], :epochs::bigint[], :committed::bigint[]) AS h(partition, epoch, committed)
        JOIN trunkline.group_partition p ON p.group_id = :groupId AND p.partition = h.partition
        WHERE p.member_id = :memberId AND p.epoch = h.epoch
        ORDER BY p.partition
        FOR SHARE OF p
      )
      INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
      SELECT :groupId, partition, committed, epoch
      FROM held
      RETURNING partition
      """;

  /** Where these partitions go on: the newest row of each, one step from the end of its index. */
  private static final String COMMITTED =
      """
      SELECT
        wanted.partition,
        (
          SELECT c.committed
          FROM trunkline.group_commit c
          WHERE c.group_id = :groupId AND c.partition = wanted.partition
          ORDER BY c.id DESC
          LIMIT 1
        ) AS committed
      FROM unnest(:partitions::integer[]) AS wanted(partition)
      """;

  /** Rows that a newer one has replaced. A bounded number at a time. */
  private static final String PRUNE =
      """
      DELETE FROM trunkline.group_commit
      WHERE ctid = ANY (ARRAY(
        SELECT c.ctid
        FROM trunkline.group_partition p
        CROSS JOIN LATERAL (
          SELECT newest.id
          FROM trunkline.group_commit newest
          WHERE newest.group_id = p.group_id AND newest.partition = p.partition
          ORDER BY newest.id DESC
          LIMIT 1) last
        JOIN trunkline.group_commit c
          ON c.group_id = p.group_id AND c.partition = p.partition AND c.id < last.id
        LIMIT :limit))
      RETURNING partition
      """;

  /** Partitions, the epochs they are held under, and how far each has come; parallel. */
  record Positions(int[] partitions, long[] epochs, long[] committed) {}

  /** Not waiting for the disk: what is lost in a crash of the server is delivered again. */
  static List<Integer> commit(Session session, int groupId, long memberId, Positions positions) {
    return bound(session.relaxed(COMMIT), groupId, memberId, positions).list(row -> row.getInt(1));
  }

  /** On disk when it returns. */
  static List<Integer> commitDurably(
      Session session, int groupId, long memberId, Positions positions) {
    return bound(session.durable(COMMIT), groupId, memberId, positions).list(row -> row.getInt(1));
  }

  static Map<Integer, Long> committed(Session session, int groupId, int[] partitions) {
    return session
        .relaxed(COMMITTED)
        .bind("groupId", groupId)
        .bindArray("partitions", partitions)
        .list(row -> Map.entry(row.getInt("partition"), row.getLong("committed")))
        .stream()
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }

  static int prune(Session session, int limit) {
    return session.statement(PRUNE).bind("limit", limit).list(row -> row.getInt(1)).size();
  }

  private static Session.Rows bound(
      Session.Rows statement, int groupId, long memberId, Positions positions) {
    return statement
        .bind("groupId", groupId)
        .bind("memberId", memberId)
        .bindArray("partitions", positions.partitions())
        .bindArray("epochs", positions.epochs())
        .bindArray("committed", positions.committed());
  }
}
