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
 * The reckoning: committed orders against effects, waiting messages and dead letters, all read in
 * one snapshot. It reads the operator's views, as a person at psql would, and asks no process what
 * it remembers.
 */
final class SummaryStore {
  private SummaryStore() {}

  /** One snapshot for all that follows. */
  private static final String BEGIN =
      """
      SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
      """;

  /**
   * Per service, what became of each committed order. An effect counts before a message that still
   * waits: the message is only not acknowledged yet. Reads everything: meant for the end of a demo.
   */
  private static final String RECKON =
      """
      WITH asked AS (
        SELECT * FROM unnest(?::text[], ?::text[]) WITH ORDINALITY AS a(service, queue, place)
      ), effect AS (
        SELECT service, order_id, count(*) AS times
        FROM trunkline_demo.effects
        GROUP BY service, order_id
      ), waiting AS (
        SELECT queue, key AS order_id, min(state) AS state
        FROM trunkline.messages
        GROUP BY queue, key
      ), dead AS (
        SELECT DISTINCT queue, key AS order_id
        FROM trunkline.dead_letters
      ), retried AS (
        SELECT service, count(DISTINCT order_id) AS orders
        FROM trunkline_demo.incidents
        WHERE kind = 'FAILED'
        GROUP BY service
      )
      SELECT
        a.service,
        count(o.id) AS orders,
        count(*) FILTER (WHERE e.times = 1) AS once,
        count(*) FILTER (WHERE e.times > 1) AS more_than_once,
        count(*) FILTER (WHERE e.times IS NULL AND w.state = 'ready') AS ready,
        count(*) FILTER (WHERE e.times IS NULL AND w.state = 'in flight') AS in_flight,
        count(*) FILTER (WHERE e.times IS NULL AND w.state = 'scheduled') AS scheduled,
        count(*) FILTER (WHERE e.times IS NULL AND w.state IS NULL AND d.order_id IS NOT NULL) AS dead,
        count(o.id) FILTER (WHERE e.times IS NULL AND w.state IS NULL AND d.order_id IS NULL) AS lost,
        coalesce(min(r.orders), 0) AS retried
      FROM asked a
      LEFT JOIN trunkline_demo.orders o ON true
      LEFT JOIN effect e ON e.service = a.service AND e.order_id = o.id
      LEFT JOIN waiting w ON w.queue = a.queue AND w.order_id = o.id
      LEFT JOIN dead d ON d.queue = a.queue AND d.order_id = o.id
      LEFT JOIN retried r ON r.service = a.service
      GROUP BY a.service, a.place
      ORDER BY a.place
      """;

  /**
   * Orders whose message was delivered again for no failure of a handler: the process that had it
   * was killed or cut off. More attempts were made than failed. recognised: of these, the ones
   * whose effect was there already and was not repeated.
   */
  private static final String REDELIVERED =
      """
      WITH handled AS (
        SELECT service, order_id, attempt, run_id, false AS recognised
        FROM trunkline_demo.effects
        WHERE attempt > 1
        UNION ALL
        SELECT service, order_id, attempt, run_id, kind = 'REPEATED'
        FROM trunkline_demo.incidents
        WHERE attempt > 1
      ), failed AS (
        SELECT DISTINCT service, order_id, attempt
        FROM trunkline_demo.incidents
        WHERE kind = 'FAILED'
      )
      SELECT
        h.service,
        count(DISTINCT h.order_id) AS ever,
        count(DISTINCT h.order_id) FILTER (WHERE h.run_id = ?) AS by_this_run,
        count(DISTINCT h.order_id) FILTER (WHERE h.recognised) AS recognised
      FROM handled h
      WHERE h.attempt - 1 > (
        SELECT count(*)
        FROM failed f
        WHERE f.service = h.service AND f.order_id = h.order_id AND f.attempt < h.attempt)
      GROUP BY h.service
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
          FROM trunkline.messages m
          WHERE m.queue = ANY (?::text[])
            AND NOT EXISTS (SELECT FROM trunkline_demo.orders o WHERE o.id = m.key)
        ) AS ghost_messages
      """;

  /** The dead letters by reason, with one order each to look at. */
  private static final String DEAD_LETTERS =
      """
      SELECT queue, reason, error, count(*) AS letters, min(key) AS example
      FROM trunkline.dead_letters
      WHERE queue = ANY (?::text[])
      GROUP BY queue, reason, error
      ORDER BY letters DESC, queue, reason, error
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
      statement.setArray(2, queues(connection));
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
        new Reckoning.Waiting(
            row.getLong("ready"), row.getLong("in_flight"), row.getLong("scheduled")),
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
                  found.getLong("recognised")));
        }
        return rows;
      }
    }
  }

  private static List<Reckoning.Death> deaths(Connection connection) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(DEAD_LETTERS)) {
      statement.setArray(1, queues(connection));
      try (ResultSet found = statement.executeQuery()) {
        List<Reckoning.Death> rows = new ArrayList<>();
        while (found.next()) {
          rows.add(
              new Reckoning.Death(
                  found.getString("queue"),
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
      statement.setArray(2, queues(connection));
      try (ResultSet found = statement.executeQuery()) {
        found.next();
        return new Reckoning(
            new Reckoning.Totals(
                found.getLong("orders"),
                found.getLong("by_this_run"),
                found.getLong("ghost_effects"),
                found.getLong("ghost_messages")),
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

  private static Array queues(Connection connection) throws SQLException {
    return connection.createArrayOf(
        "text", Arrays.stream(Service.values()).map(Service::queue).toArray());
  }
}
