package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** The one statement that a process with members repeats. */
final class GroupPulseStore {
  private GroupPulseStore() {}

  /**
   * Says that members of this process are alive, and answers for each of them, if it still is one,
   * which partitions it has and whether its group has to be rebalanced: a member is silent, a
   * partition has no owner or is promised to nobody, the topic has grown, or this member will have
   * more or less than its share when all handovers are made. Small tables only: as many rows as the
   * groups have members and partitions.
   */
  private static final String LOOK =
      """
      WITH beat AS (
        INSERT INTO trunkline.member_heartbeat (member_id)
        SELECT m.id
        FROM trunkline.group_member m
        WHERE m.id = ANY (:members::bigint[])
      )
      SELECT
        m.id,
        own.partitions,
        own.epochs,
        own.wanted,
        own.redelivered,
        (
          EXISTS (
            SELECT 1
            FROM trunkline.group_member other
            WHERE other.group_id = m.group_id
              AND coalesce((
                SELECT b.beat_at
                FROM trunkline.member_heartbeat b
                WHERE b.member_id = other.id
                ORDER BY b.beat_at DESC
                LIMIT 1), other.joined_at) < clock_timestamp() - other.session_timeout)
          OR EXISTS (
            SELECT 1
            FROM trunkline.group_partition p
            WHERE p.group_id = m.group_id
              AND (
                NOT EXISTS (SELECT 1 FROM trunkline.group_member o WHERE o.id = p.member_id)
                OR (p.wanted_by IS NOT NULL
                  AND NOT EXISTS (SELECT 1 FROM trunkline.group_member o WHERE o.id = p.wanted_by))))
          OR (
            SELECT count(*)
            FROM trunkline.topic_partition t
            WHERE t.topic_id = g.topic_id) > shared.partitions
          OR shared.mine < shared.partitions / shared.members
          OR shared.mine > (shared.partitions + shared.members - 1) / shared.members
        ) AS unsettled,
        (
          SELECT (extract(epoch FROM min(coalesce((
            SELECT b.beat_at
            FROM trunkline.member_heartbeat b
            WHERE b.member_id = other.id
            ORDER BY b.beat_at DESC
            LIMIT 1), other.joined_at) + other.session_timeout - clock_timestamp())) * 1000)::bigint
          FROM trunkline.group_member other
          WHERE other.group_id = m.group_id
        ) AS silent_in_ms
      FROM trunkline.group_member m
      JOIN trunkline.consumer_group g ON g.id = m.group_id
      CROSS JOIN LATERAL (
        SELECT
          array_agg(p.partition ORDER BY p.partition) AS partitions,
          array_agg(p.epoch ORDER BY p.partition) AS epochs,
          array_agg(p.wanted_by IS NOT NULL ORDER BY p.partition) AS wanted,
          array_agg(EXISTS (
            SELECT 1
            FROM trunkline.group_redelivery r
            WHERE r.group_id = p.group_id AND r.partition = p.partition) ORDER BY p.partition) AS redelivered
        FROM trunkline.group_partition p
        WHERE p.group_id = m.group_id AND p.member_id = m.id
      ) own
      CROSS JOIN LATERAL (
        SELECT
          count(*) AS partitions,
          count(*) FILTER (WHERE coalesce(p.wanted_by, p.member_id) = m.id) AS mine,
          (SELECT count(*) FROM trunkline.group_member o WHERE o.group_id = m.group_id) AS members
        FROM trunkline.group_partition p
        WHERE p.group_id = m.group_id
      ) shared
      WHERE m.id = ANY (:members::bigint[])
      """;

  /**
   * What a look found about one member.
   *
   * @param silentInMs how long until a member of its group is taken for dead, if it does not beat
   */
  record Found(long memberId, List<Claim> claims, boolean unsettled, long silentInMs) {

    private static Found of(ResultSet row) throws SQLException {
      List<Claim> claims = new ArrayList<>();
      if (row.getArray("partitions") != null) {
        Integer[] partitions = (Integer[]) row.getArray("partitions").getArray();
        Long[] epochs = (Long[]) row.getArray("epochs").getArray();
        Boolean[] wanted = (Boolean[]) row.getArray("wanted").getArray();
        Boolean[] redelivered = (Boolean[]) row.getArray("redelivered").getArray();
        for (int i = 0; i < partitions.length; i++) {
          claims.add(new Claim(partitions[i], epochs[i], wanted[i], redelivered[i]));
        }
      }
      return new Found(
          row.getLong("id"),
          List.copyOf(claims),
          row.getBoolean("unsettled"),
          row.getLong("silent_in_ms"));
    }
  }

  /**
   * A partition that a member has.
   *
   * @param epoch the fencing token
   * @param wanted whether it is to be handed over
   * @param redelivered whether dead letters of it are on their way back
   */
  record Claim(int partition, long epoch, boolean wanted, boolean redelivered) {}

  static List<Found> look(Session session, Collection<Long> members) {
    return session
        .relaxed(LOOK)
        .bindArray("members", members.stream().mapToLong(Long::longValue).toArray())
        .list(Found::of);
  }
}
