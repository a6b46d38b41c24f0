package dev.trunkline.demo;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The reckoning: committed orders against effects, waiting events and dead letters, all read in one
 * snapshot. It reads the tables, and asks no process what it remembers.
 */
final class SummaryStore {
  private SummaryStore() {}

  /** One snapshot for all that follows. */
  private static final String BEGIN =
      """
      SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
      """;

  /**
   * Per service, what became of each committed order. An event waits if the group is not past its
   * offset, or if it has none yet: then it was committed a moment ago. One that was dead may be on
   * its way back. An effect counts before an event that still waits: only the offset is not
   * committed yet. Reads everything: meant for the end of a demo.
   */
  private static final String RECKON =
      """
      WITH asked AS (
        SELECT a.service, a.place, g.id AS group_id, t.id AS topic_id
        FROM unnest(?::text[]) WITH ORDINALITY AS a(service, place)
        JOIN trunkline.topic t ON t.name = ? AND t.deleted_at IS NULL
        LEFT JOIN trunkline.consumer_group g ON g.topic_id = t.id AND g.name = a.service
      ), effect AS (
        SELECT service, order_id, count(*) AS times
        FROM trunkline_demo.effects
        GROUP BY service, order_id
      ), placed AS (
        SELECT s.topic_id, s.partition, s.base_offset + u.place - 1 AS "offset", u.id
        FROM trunkline.segment s
        CROSS JOIN LATERAL unnest(s.ids) WITH ORDINALITY AS u(id, place)
        WHERE s.topic_id = (SELECT min(topic_id) FROM asked)
      ), position AS (
        SELECT DISTINCT ON (group_id, partition) group_id, partition, committed
        FROM trunkline.group_commit
        WHERE group_id IN (SELECT group_id FROM asked)
        ORDER BY group_id, partition, id DESC
      ), waiting AS (
        SELECT
          each.service,
          each.order_id,
          bool_or(EXISTS (
            SELECT 1
            FROM trunkline.group_failure f
            WHERE f.group_id = each.group_id
              AND f.partition = each.partition
              AND f."offset" = each."offset"
          )) AS retrying
        FROM (
          SELECT a.service, a.group_id, r.key AS order_id, r.partition, l."offset"
          FROM asked a
          JOIN trunkline.record r ON r.topic_id = a.topic_id
          LEFT JOIN placed l ON l.partition = r.partition AND l.id = r.id
          LEFT JOIN position p ON p.group_id = a.group_id AND p.partition = r.partition
          WHERE l."offset" IS NULL OR l."offset" >= coalesce(p.committed, 0)
          UNION ALL
          SELECT a.service, a.group_id, b.key, b.partition, b."offset"
          FROM asked a
          JOIN trunkline.group_redelivery b ON b.group_id = a.group_id
        ) each
        GROUP BY each.service, each.order_id
      ), dead AS (
        SELECT DISTINCT "group" AS service, key AS order_id
        FROM trunkline.dead_letters
        WHERE topic = ?
      ), retried AS (
        SELECT service, count(DISTINCT order_id) AS orders
        FROM trunkline_demo.failures
        GROUP BY service
      )
      SELECT
        a.service,
        count(o.id) AS orders,
        count(*) FILTER (WHERE e.times = 1) AS once,
        count(*) FILTER (WHERE e.times > 1) AS more_than_once,
        count(*) FILTER (WHERE e.times IS NULL AND w.order_id IS NOT NULL) AS waiting,
        count(*) FILTER (WHERE e.times IS NULL AND w.retrying) AS retrying,
        count(*) FILTER (WHERE e.times IS NULL AND w.order_id IS NULL AND d.order_id IS NOT NULL) AS dead,
        count(o.id) FILTER (WHERE e.times IS NULL AND w.order_id IS NULL AND d.order_id IS NULL) AS lost,
        coalesce(min(r.orders), 0) AS retried
      FROM asked a
      LEFT JOIN trunkline_demo.orders o ON true
      LEFT JOIN effect e ON e.service = a.service AND e.order_id = o.id
      LEFT JOIN waiting w ON w.service = a.service AND w.order_id = o.id
      LEFT JOIN dead d ON d.service = a.service AND d.order_id = o.id
      LEFT JOIN retried r ON r.service = a.service
      GROUP BY a.service, a.place
      ORDER BY a.place
      """;

  /**
   * Orders that a service was given more often than it failed, and once: the process that had them
   * was killed or cut off.
   */
  private static final String REDELIVERED =
      """
      WITH given AS (
        SELECT service, order_id, count(*) AS times, max(run_id) AS last_run
        FROM trunkline_demo.deliveries
        GROUP BY service, order_id
      ), failed AS (
        SELECT service, order_id, count(*) AS times
        FROM trunkline_demo.failures
        GROUP BY service, order_id
      ), effect AS (
        SELECT service, order_id, count(*) AS times
        FROM trunkline_demo.effects
        GROUP BY service, order_id
      )
      SELECT
        given.service,
        count(*) AS ever,
        count(*) FILTER (WHERE given.last_run = ?) AS by_this_run,
        count(*) FILTER (WHERE effect.times = 1) AS once
      FROM given
      LEFT JOIN failed ON failed.service = given.service AND failed.order_id = given.order_id
      LEFT JOIN effect ON effect.service = given.service AND effect.order_id = given.order_id
      WHERE given.times - 1 > coalesce(failed.times, 0)
      GROUP BY given.service
      """;

  /**
   * What no committed order accounts for: of a transaction that was rolled back, nothing may be
   * seen.
   */
  private static final String COUNT_ORDERS_AND_GHOSTS =
      """
      SELECT
        (SELECT count(*) FROM trunkline_demo.orders) AS orders,
        (SELECT count(*) FROM trunkline_demo.orders WHERE run_id = ?) AS by_this_run,
        (
          SELECT count(*)
          FROM trunkline_demo.effects e
          WHERE NOT EXISTS (SELECT FROM trunkline_demo.orders o WHERE o.id = e.order_id)
        ) AS ghost_effects,
        (
          SELECT count(*)
          FROM trunkline.record r
          JOIN trunkline.topic t ON t.id = r.topic_id AND t.deleted_at IS NULL
          WHERE t.name = ?
            AND NOT EXISTS (SELECT FROM trunkline_demo.orders o WHERE o.id = r.key)
        ) AS ghost_events
      """;

  /** The dead letters by reason, with one order each to look at. */
  private static final String DEAD_LETTERS =
      """
      SELECT "group", reason, error, count(*) AS letters, min(key) AS example
      FROM trunkline.dead_letters
      WHERE topic = ?
      GROUP BY "group", reason, error
      ORDER BY letters DESC, "group", reason, error
      LIMIT 5
      """;

  /** Reads it all, and leaves the connection without a transaction. */
  static Reckoning reckon(Connection connection, int run) throws SQLException {
    connection.setAutoCommit(false);
    try (PreparedStatement begin = connection.prepareStatement(BEGIN)) {
      begin.execute();
      List<Reckoning.Row> rows = rows(connection);
      List<Reckoning.Redelivered> redelivered = redelivered(connection, run);
      List<Reckoning.Death> deaths = deaths(connection);
      return totals(connection, run, rows, redelivered, deaths);
    } finally {
      connection.rollback();
    }
  }

  private static List<Reckoning.Row> rows(Connection connection) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(RECKON)) {
      statement.setArray(1, labels(connection));
      statement.setString(2, Services.TOPIC);
      statement.setString(3, Services.TOPIC);
      try (ResultSet found = statement.executeQuery()) {
        List<Reckoning.Row> rows = new ArrayList<>();
        while (found.next()) {
          rows.add(row(found));
        }
        return rows;
      }
    }
  }

  private static Reckoning.Row row(ResultSet row) throws SQLException {
    return new Reckoning.Row(
        row.getString("service"),
        row.getLong("orders"),
        new Reckoning.Handled(
            row.getLong("once"), row.getLong("more_than_once"), row.getLong("retried")),
        new Reckoning.Waiting(row.getLong("waiting"), row.getLong("retrying")),
        row.getLong("dead"),
        row.getLong("lost"));
  }

  private static List<Reckoning.Redelivered> redelivered(Connection connection, int run)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(REDELIVERED)) {
      statement.setInt(1, run);
      try (ResultSet found = statement.executeQuery()) {
        List<Reckoning.Redelivered> rows = new ArrayList<>();
        while (found.next()) {
          rows.add(
              new Reckoning.Redelivered(
                  found.getString("service"),
                  found.getLong("ever"),
                  found.getLong("by_this_run"),
                  found.getLong("once")));
        }
        return rows;
      }
    }
  }

  private static List<Reckoning.Death> deaths(Connection connection) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(DEAD_LETTERS)) {
      statement.setString(1, Services.TOPIC);
      try (ResultSet found = statement.executeQuery()) {
        List<Reckoning.Death> rows = new ArrayList<>();
        while (found.next()) {
          rows.add(
              new Reckoning.Death(
                  found.getString("group"),
                  found.getString("reason"),
                  String.valueOf(found.getString("error")),
                  found.getLong("letters"),
                  String.valueOf(found.getString("example"))));
        }
        return rows;
      }
    }
  }

  private static Reckoning totals(
      Connection connection,
      int run,
      List<Reckoning.Row> rows,
      List<Reckoning.Redelivered> redelivered,
      List<Reckoning.Death> deaths)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(COUNT_ORDERS_AND_GHOSTS)) {
      statement.setInt(1, run);
      statement.setString(2, Services.TOPIC);
      try (ResultSet found = statement.executeQuery()) {
        found.next();
        return new Reckoning(
            new Reckoning.Totals(
                found.getLong("orders"),
                found.getLong("by_this_run"),
                found.getLong("ghost_effects"),
                found.getLong("ghost_events")),
            rows,
            redelivered,
            deaths);
      }
    }
  }

  private static Array labels(Connection connection) throws SQLException {
    return connection.createArrayOf(
        "text", Arrays.stream(Service.values()).map(Service::label).toArray());
  }
}
