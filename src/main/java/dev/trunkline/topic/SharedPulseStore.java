package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Collection;
import java.util.List;

/** Members of shared groups: joining, and the one statement that a process with members repeats. */
final class SharedPulseStore {
  private SharedPulseStore() {}

  private static final String JOIN =
      """
      WITH joined AS (
        INSERT INTO trunkline.group_member (group_id, host, pid, session_timeout)
        SELECT g.id, :host, :pid, g.session_timeout
        FROM trunkline.consumer_group g
        WHERE g.id = :groupId
        RETURNING id
      ), beat AS (
        INSERT INTO trunkline.member_heartbeat (member_id)
        SELECT id FROM joined
      )
      SELECT id FROM joined
      """;

  /**
   * Says that members of this process are alive, and answers for each of them, if it still is one,
   * whether its group is paused, when the next waiting record of it is due (of a paused one none
   * is), whether the topic has grown, and whether a member of it is silent; and when the next lease
   * of any group expires. One step into an index for each, and as many rows as the groups have
   * members. Unless everything is to be looked at, the steps begin ten seconds back, so that what
   * was settled long ago is not walked.
   */
  private static final String LOOK =
      """
      WITH beat AS (
        INSERT INTO trunkline.member_heartbeat (member_id)
        SELECT m.id
        FROM trunkline.group_member m
        WHERE m.id = ANY (:members::bigint[])
      ), since AS MATERIALIZED (
        SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END AS at
      )
      SELECT
        m.id,
        g.paused,
        coalesce((
          SELECT (extract(epoch FROM greatest(w.due_at - clock_timestamp(), interval '0')) * 1000)::bigint
          FROM trunkline.shared_waiting w
          WHERE w.group_id = m.group_id AND w.due_at >= (SELECT at FROM since) AND NOT g.paused
          ORDER BY w.due_at
          LIMIT 1), -1) AS due_in_ms,
        coalesce((
          SELECT (extract(epoch FROM greatest(l.visible_at - clock_timestamp(), interval '0')) * 1000)::bigint
          FROM trunkline.shared_lease l
          WHERE l.visible_at >= (SELECT at FROM since)
          ORDER BY l.visible_at
          LIMIT 1), -1) AS expires_in_ms,
        (
          SELECT count(*)
          FROM trunkline.topic_partition t
          WHERE t.topic_id = g.topic_id) > (
          SELECT count(*)
          FROM trunkline.group_partition p
          WHERE p.group_id = m.group_id) AS grown,
        EXISTS (
          SELECT 1
          FROM trunkline.group_member other
          WHERE other.group_id = m.group_id
            AND coalesce((
              SELECT b.beat_at
              FROM trunkline.member_heartbeat b
              WHERE b.member_id = other.id
              ORDER BY b.beat_at DESC
              LIMIT 1), other.joined_at) < clock_timestamp() - other.session_timeout) AS silent
      FROM trunkline.group_member m
      JOIN trunkline.consumer_group g ON g.id = m.group_id
      WHERE m.id = ANY (:members::bigint[])
      """;

  /**
   * What a look found about one member.
   *
   * @param dueInMs -1 if nothing waits
   * @param expiresInMs -1 if there is no lease
   */
  record Found(
      long memberId,
      boolean paused,
      long dueInMs,
      long expiresInMs,
      boolean grown,
      boolean silent) {
    static Found of(ResultSet row) throws SQLException {
      return new Found(
          row.getLong("id"),
          row.getBoolean("paused"),
          row.getLong("due_in_ms"),
          row.getLong("expires_in_ms"),
          row.getBoolean("grown"),
          row.getBoolean("silent"));
    }
  }

  /** Under the lock of the group's row. */
  static long join(Session session, int groupId, String host) {
    return session
        .statement(JOIN)
        .bind("groupId", groupId)
        .bind("host", host)
        .bind("pid", ProcessHandle.current().pid())
        .list(row -> row.getLong(1))
        .get(0);
  }

  static List<Found> look(Session session, Collection<Long> members, boolean everything) {
    return session
        .relaxed(LOOK)
        .bindArray("members", members.stream().mapToLong(Long::longValue).toArray())
        .bind("everything", everything)
        .list(Found::of);
  }
}
