package dev.trunkline.demo;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** How the groups are doing, for all of them at one moment. */
final class GroupStatsStore {
  private GroupStatsStore() {}

  /**
   * Positions and lags by the operator's view; failures of records that the group has not passed,
   * parked keys and dead letters, of which there are few, by counting.
   */
  private static final String READ =
      """
      SELECT
        lag."group",
        lag.published,
        lag.passed,
        lag.behind,
        lag.oldest_ms,
        (
          SELECT count(DISTINCT (f.partition, f."offset"))
          FROM trunkline.group_failure f
          JOIN trunkline.group_lag l
            ON l.topic = lag.topic AND l."group" = lag."group" AND l.partition = f.partition
          WHERE f.group_id = g.id AND f."offset" >= l.committed
        ) AS retrying,
        (SELECT count(*) FROM trunkline.parked_key k WHERE k.group_id = g.id) AS parked,
        (
          SELECT count(*)
          FROM trunkline.dead_letter d
          WHERE d.topic = lag.topic AND d.group_name = lag."group"
        ) AS dead,
        (SELECT count(*) FROM trunkline.group_redelivery r WHERE r.group_id = g.id) AS coming_back
      FROM (
        SELECT
          topic,
          "group",
          sum(log_end) AS published,
          sum(committed) AS passed,
          sum(lag) AS behind,
          (extract(epoch FROM max(lag_time)) * 1000)::bigint AS oldest_ms
        FROM trunkline.group_lag
        WHERE topic = ?
        GROUP BY topic, "group"
      ) lag
      JOIN trunkline.topic t ON t.name = lag.topic AND t.deleted_at IS NULL
      JOIN trunkline.consumer_group g ON g.topic_id = t.id AND g.name = lag."group"
      """;

  /**
   * One group.
   *
   * @param published records in the log, ever
   * @param passed records that the group is past
   * @param behind records that it is not past
   * @param oldest age of the oldest of these
   * @param retrying records that have failed and are to be tried again
   * @param parked keys whose records wait for somebody to look
   * @param dead records that were given up
   * @param comingBack dead letters on their way back
   */
  record GroupStats(
      long published,
      long passed,
      long behind,
      Duration oldest,
      long retrying,
      long parked,
      long dead,
      long comingBack) {
    boolean isDone() {
      return behind + comingBack == 0;
    }
  }

  /** The groups by name. */
  static Map<String, GroupStats> read(Connection connection, String topic) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(READ)) {
      statement.setString(1, topic);
      try (ResultSet row = statement.executeQuery()) {
        Map<String, GroupStats> groups = new HashMap<>();
        while (row.next()) {
          groups.put(
              row.getString("group"),
              new GroupStats(
                  row.getLong("published"),
                  row.getLong("passed"),
                  row.getLong("behind"),
                  Duration.ofMillis(row.getLong("oldest_ms")),
                  row.getLong("retrying"),
                  row.getLong("parked"),
                  row.getLong("dead"),
                  row.getLong("coming_back")));
        }
        return groups;
      }
    }
  }
}
