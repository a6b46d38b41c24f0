package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.time.Duration;
import java.util.List;

/** Statements on processes and their heartbeats. */
final class ConsumerStore {
  private ConsumerStore() {}

  private static final String REGISTER =
      """
      WITH registered AS (
        INSERT INTO trunkline.consumer (host, pid, heartbeat_timeout)
        VALUES (:host, :pid, :heartbeatTimeoutMs * interval '1 millisecond')
        RETURNING id
      ), beat AS (
        INSERT INTO trunkline.heartbeat (consumer_id)
        SELECT id FROM registered
      )
      SELECT id FROM registered
      """;

  /**
   * Stays as long as it has leases: one that a transaction of a transactional handler has locked
   * could not be taken back yet.
   */
  private static final String REMOVE =
      """
      WITH leaving AS MATERIALIZED (
        SELECT id
        FROM trunkline.consumer
        WHERE id = :id AND NOT EXISTS (SELECT 1 FROM trunkline.lease WHERE consumer_id = :id)
      ), gone AS (
        DELETE FROM trunkline.heartbeat
        WHERE consumer_id = (SELECT id FROM leaving)
      )
      DELETE FROM trunkline.consumer
      WHERE id = (SELECT id FROM leaving)
      RETURNING id
      """;

  /**
   * Processes that have been silent for longer than they promised. The newest heartbeat is the
   * first entry from the end of its index. One row per process: few.
   */
  private static final String SILENT =
      """
      SELECT consumer.id
      FROM trunkline.consumer
      WHERE coalesce((
        SELECT heartbeat.beat_at
        FROM trunkline.heartbeat
        WHERE heartbeat.consumer_id = consumer.id
        ORDER BY heartbeat.beat_at DESC
        LIMIT 1), consumer.started_at) < clock_timestamp() - consumer.heartbeat_timeout
      """;

  /**
   * Heartbeats that a newer one has replaced. Those of the last minute stay, so the newest always
   * does.
   */
  private static final String PRUNE =
      """
      DELETE FROM trunkline.heartbeat
      WHERE beat_at < clock_timestamp() - interval '1 minute'
        AND EXISTS (
          SELECT 1
          FROM trunkline.heartbeat newer
          WHERE newer.consumer_id = heartbeat.consumer_id AND newer.beat_at > heartbeat.beat_at)
      RETURNING consumer_id
      """;

  static long register(Session session, String host, long pid, Duration heartbeatTimeout) {
    return session
        .statement(REGISTER)
        .bind("host", host)
        .bind("pid", pid)
        .bind("heartbeatTimeoutMs", heartbeatTimeout.toMillis())
        .list(row -> row.getLong(1))
        .get(0);
  }

  static boolean remove(Session session, long id) {
    return !session.statement(REMOVE).bind("id", id).list(row -> row.getLong(1)).isEmpty();
  }

  static List<Long> silent(Session session) {
    return session.relaxed(SILENT).list(row -> row.getLong(1));
  }

  static int pruneHeartbeats(Session session) {
    return session.relaxed(PRUNE).list(row -> row.getLong(1)).size();
  }
}
