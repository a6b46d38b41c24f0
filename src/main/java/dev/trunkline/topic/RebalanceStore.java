package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import dev.trunkline.topic.RebalancePlan.Place;
import java.util.List;

/** Statements that move partitions between the members of a group. */
final class RebalanceStore {
  private RebalanceStore() {}

  /** One rebalance of a group at a time. Locks the group's row; nothing hot does. */
  private static final String LOCK =
      """
      SELECT id
      FROM trunkline.consumer_group
      WHERE id = :groupId
      FOR UPDATE
      """;

  /** The same, but where another process is at it already there is nothing left to do. */
  private static final String LOCK_IF_FREE =
      """
      SELECT id
      FROM trunkline.consumer_group
      WHERE id = :groupId
      FOR UPDATE SKIP LOCKED
      """;

  /**
   * The topic's partitions that the group does not know yet. Those that come while the group exists
   * are read from their beginning: nothing of them is missed.
   */
  private static final String ADD_PARTITIONS =
      """
      WITH added AS (
        INSERT INTO trunkline.group_partition (group_id, partition)
        SELECT g.id, p.partition
        FROM trunkline.consumer_group g
        JOIN trunkline.topic_partition p ON p.topic_id = g.topic_id
        WHERE g.id = :groupId
          AND NOT EXISTS (
            SELECT 1
            FROM trunkline.group_partition known
            WHERE known.group_id = g.id AND known.partition = p.partition)
        RETURNING group_id, partition
      )
      INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
      SELECT added.group_id, added.partition, p.log_start, 0
      FROM added
      JOIN trunkline.consumer_group g ON g.id = added.group_id
      JOIN trunkline.topic_partition p ON p.topic_id = g.topic_id AND p.partition = added.partition
      RETURNING partition
      """;

  /** A new group's: where it begins in them is said by another statement. */
  private static final String FIRST_PARTITIONS =
      """
      INSERT INTO trunkline.group_partition (group_id, partition)
      SELECT :groupId, p.partition
      FROM trunkline.topic_partition p
      WHERE p.topic_id = :topicId
      """;

  private static final String PLACES =
      """
      SELECT partition, coalesce(member_id, 0) AS holder, coalesce(wanted_by, 0) AS wanted_by
      FROM trunkline.group_partition
      WHERE group_id = :groupId
      ORDER BY partition
      """;

  /**
   * Carries out a plan. A partition that changed since, or that somebody commits for at this
   * moment, stays as it is: the next look finds it. With a new holder the epoch grows, so that the
   * old one can commit nothing more. Locks the rows it changes, in order.
   */
  private static final String MOVE =
      """
      WITH plan AS (
        SELECT p.partition, nullif(m.holder, 0) AS holder, nullif(m.wanted_by, 0) AS wanted_by
        FROM unnest(:partitions::integer[], :befores::bigint[], :holders::bigint[], :wanted::bigint[])
          AS m(partition, before, holder, wanted_by)
        JOIN trunkline.group_partition p ON p.group_id = :groupId AND p.partition = m.partition
        WHERE coalesce(p.member_id, 0) = m.before
        ORDER BY p.partition
        FOR UPDATE OF p SKIP LOCKED
      )
      UPDATE trunkline.group_partition p
      SET
        member_id = plan.holder,
        wanted_by = plan.wanted_by,
        epoch = p.epoch + CASE WHEN p.member_id IS DISTINCT FROM plan.holder THEN 1 ELSE 0 END
      FROM plan
      WHERE p.group_id = :groupId AND p.partition = plan.partition
      RETURNING p.partition
      """;

  /**
   * The owner gives partitions up, and says how far it came (-1: nothing new). They go to whom they
   * were promised, at once. Answers those that were still its own.
   */
  private static final String RELEASE =
      """
      WITH held AS (
        SELECT p.partition, h.committed, p.epoch, p.wanted_by
        FROM unnest(:partitions::integer[], :epochs::bigint[], :committed::bigint[]) AS h(partition, epoch, committed)
        JOIN trunkline.group_partition p ON p.group_id = :groupId AND p.partition = h.partition
        WHERE p.member_id = :memberId AND p.epoch = h.epoch
        ORDER BY p.partition
        FOR UPDATE OF p
      ), done AS (
        INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
        SELECT :groupId, partition, committed, epoch
        FROM held
        WHERE committed >= 0
      )
      UPDATE trunkline.group_partition p
      SET
        member_id = (SELECT m.id FROM trunkline.group_member m WHERE m.id = held.wanted_by),
        wanted_by = NULL,
        epoch = p.epoch + 1
      FROM held
      WHERE p.group_id = :groupId AND p.partition = held.partition
      RETURNING p.partition
      """;

  /** Tells every process with members of the group that it should look now. Sent at the commit. */
  private static final String TELL =
      """
      SELECT pg_notify('trunkline', 'g,' || :groupId)
      """;

  /** Answers whether there is such a group. */
  static boolean lock(Session session, int groupId) {
    return !session.statement(LOCK).bind("groupId", groupId).list(row -> row.getInt(1)).isEmpty();
  }

  static boolean lockIfFree(Session session, int groupId) {
    return !session
        .statement(LOCK_IF_FREE)
        .bind("groupId", groupId)
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  static void addPartitions(Session session, int groupId) {
    session.statement(ADD_PARTITIONS).bind("groupId", groupId).run();
  }

  static void firstPartitions(Session session, int topicId, int groupId) {
    session.statement(FIRST_PARTITIONS).bind("topicId", topicId).bind("groupId", groupId).run();
  }

  static List<Place> places(Session session, int groupId) {
    return session
        .statement(PLACES)
        .bind("groupId", groupId)
        .list(
            row ->
                new Place(
                    row.getInt("partition"), row.getLong("holder"), row.getLong("wanted_by")));
  }

  /**
   * Answers the partitions that changed.
   *
   * @param befores the holders that the plan was made for, parallel to the moves
   */
  static List<Integer> move(Session session, int groupId, List<Place> moves, long[] befores) {
    return session
        .statement(MOVE)
        .bind("groupId", groupId)
        .bindArray("partitions", moves.stream().mapToInt(Place::partition).toArray())
        .bindArray("befores", befores)
        .bindArray("holders", moves.stream().mapToLong(Place::holder).toArray())
        .bindArray("wanted", moves.stream().mapToLong(Place::wantedBy).toArray())
        .list(row -> row.getInt(1));
  }

  /** Answers the partitions that were still the member's. */
  static List<Integer> release(
      Session session, int groupId, long memberId, CommitStore.Positions positions) {
    return session
        .durable(RELEASE)
        .bind("groupId", groupId)
        .bind("memberId", memberId)
        .bindArray("partitions", positions.partitions())
        .bindArray("epochs", positions.epochs())
        .bindArray("committed", positions.committed())
        .list(row -> row.getInt(1));
  }

  static void tell(Session session, int groupId) {
    session.statement(TELL).bind("groupId", groupId).run();
  }
}
