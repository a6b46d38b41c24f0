package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** Statements on the members of groups and their heartbeats. */
final class MemberStore {
  private MemberStore() {}

  private static final String JOIN =
      """
      WITH joined AS (
        INSERT INTO trunkline.group_member (group_id, instance_id, host, pid, session_timeout)
        VALUES (:groupId, nullif(:instanceId, ''), :host, :pid, :sessionTimeoutMs * interval '1 millisecond')
        RETURNING id
      ), beat AS (
        INSERT INTO trunkline.member_heartbeat (member_id)
        SELECT id FROM joined
      )
      SELECT id FROM joined
      """;

  private static final String LEAVE =
      """
      WITH beats AS (
        DELETE FROM trunkline.member_heartbeat WHERE member_id = :memberId
      )
      DELETE FROM trunkline.group_member
      WHERE id = :memberId
      RETURNING id
      """;

  /** A static member that closes keeps its place until its session is over. */
  private static final String GO_AWAY =
      """
      UPDATE trunkline.group_member
      SET away = true
      WHERE id = :memberId AND instance_id IS NOT NULL
      RETURNING id
      """;

  /**
   * Members that have been silent for longer than they promised go. The newest heartbeat is the
   * first entry from the end of its index. Their heartbeats go with the maintenance.
   */
  private static final String REMOVE_SILENT =
      """
      DELETE FROM trunkline.group_member m
      WHERE m.group_id = :groupId
        AND coalesce((
          SELECT b.beat_at
          FROM trunkline.member_heartbeat b
          WHERE b.member_id = m.id
          ORDER BY b.beat_at DESC
          LIMIT 1), m.joined_at) < clock_timestamp() - m.session_timeout
      RETURNING m.id
      """;

  private static final String LIVING =
      """
      SELECT id
      FROM trunkline.group_member
      WHERE group_id = :groupId
      ORDER BY id
      """;

  /** Members that are neither away nor silent. */
  private static final String RUNNING =
      """
      SELECT m.id
      FROM trunkline.group_member m
      WHERE m.group_id = :groupId
        AND NOT m.away
        AND coalesce((
          SELECT b.beat_at
          FROM trunkline.member_heartbeat b
          WHERE b.member_id = m.id
          ORDER BY b.beat_at DESC
          LIMIT 1), m.joined_at) >= clock_timestamp() - m.session_timeout
      """;

  /** Who has an instance id, and its newest heartbeat as a number that grows with each. */
  private static final String INSTANCE =
      """
      SELECT
        m.id,
        m.host,
        m.pid,
        m.away,
        (extract(epoch FROM coalesce((
          SELECT b.beat_at
          FROM trunkline.member_heartbeat b
          WHERE b.member_id = m.id
          ORDER BY b.beat_at DESC
          LIMIT 1), m.joined_at)) * 1000000)::bigint AS heard
      FROM trunkline.group_member m
      WHERE m.group_id = :groupId AND m.instance_id = :instanceId
      """;

  /** The newcomer's partitions are those that the member of the same instance id had. */
  private static final String INHERIT =
      """
      WITH held AS (
        SELECT partition
        FROM trunkline.group_partition
        WHERE group_id = :groupId AND member_id = :oldId
        ORDER BY partition
        FOR UPDATE
      ), promised AS (
        UPDATE trunkline.group_partition
        SET wanted_by = :newId
        WHERE group_id = :groupId AND wanted_by = :oldId
      )
      UPDATE trunkline.group_partition p
      SET member_id = :newId, epoch = p.epoch + 1
      FROM held
      WHERE p.group_id = :groupId AND p.partition = held.partition
      RETURNING p.partition
      """;

  /**
   * Heartbeats that a newer one has replaced, and those of members that are gone. Those of the last
   * minute stay, so the newest always does.
   */
  private static final String PRUNE_HEARTBEATS =
      """
      DELETE FROM trunkline.member_heartbeat h
      WHERE h.beat_at < clock_timestamp() - interval '1 minute'
        AND (
          NOT EXISTS (SELECT 1 FROM trunkline.group_member m WHERE m.id = h.member_id)
          OR EXISTS (
            SELECT 1
            FROM trunkline.member_heartbeat newer
            WHERE newer.member_id = h.member_id AND newer.beat_at > h.beat_at))
      RETURNING h.member_id
      """;

  /** A member as a newcomer with the same instance id sees it. */
  record Instance(long id, String host, long pid, boolean away, long heard) {}

  static long join(
      Session session, GroupRow group, String instanceId, String host, Duration sessionTimeout) {
    return session
        .statement(JOIN)
        .bind("groupId", group.id())
        .bind("instanceId", instanceId)
        .bind("host", host)
        .bind("pid", ProcessHandle.current().pid())
        .bind("sessionTimeoutMs", sessionTimeout.toMillis())
        .list(row -> row.getLong(1))
        .get(0);
  }

  static void leave(Session session, long memberId) {
    session.statement(LEAVE).bind("memberId", memberId).run();
  }

  static boolean goAway(Session session, long memberId) {
    return !session
        .statement(GO_AWAY)
        .bind("memberId", memberId)
        .list(row -> row.getLong(1))
        .isEmpty();
  }

  static List<Long> removeSilent(Session session, int groupId) {
    return session.statement(REMOVE_SILENT).bind("groupId", groupId).list(row -> row.getLong(1));
  }

  static List<Long> living(Session session, int groupId) {
    return session.statement(LIVING).bind("groupId", groupId).list(row -> row.getLong(1));
  }

  static List<Long> running(Session session, int groupId) {
    return session.statement(RUNNING).bind("groupId", groupId).list(row -> row.getLong(1));
  }

  static Optional<Instance> instance(Session session, int groupId, String instanceId) {
    return session
        .statement(INSTANCE)
        .bind("groupId", groupId)
        .bind("instanceId", instanceId)
        .list(
            row ->
                new Instance(
                    row.getLong("id"),
                    row.getString("host"),
                    row.getLong("pid"),
                    row.getBoolean("away"),
                    row.getLong("heard")))
        .stream()
        .findFirst();
  }

  static void inherit(Session session, int groupId, long oldId, long newId) {
    session
        .statement(INHERIT)
        .bind("groupId", groupId)
        .bind("oldId", oldId)
        .bind("newId", newId)
        .run();
  }

  static int pruneHeartbeats(Session session) {
    return session.relaxed(PRUNE_HEARTBEATS).list(row -> row.getLong(1)).size();
  }
}
