package dev.trunkline.demo;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;

/** The tables of the order service and of the five, in a schema of their own. */
final class DemoSchemaStore {
  private DemoSchemaStore() {}

  /**
   * One process at a time: IF NOT EXISTS alone fails where two look at the same moment. The number
   * is as good as any other.
   */
  private static final String LOCK =
      """
      SELECT pg_advisory_xact_lock(7278117402)
      """;

  /**
   * deliveries says what a service was given, effects what it has done, failures what it did
   * instead; a row for each time. No foreign keys and nothing unique: an effect without its order,
   * or one too many, must be seen, not refused.
   */
  private static final String CREATE =
      """
      CREATE SCHEMA IF NOT EXISTS trunkline_demo;

      CREATE TABLE IF NOT EXISTS trunkline_demo.runs (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        pid bigint NOT NULL,
        started_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        -- The run that found this one without an end.
        noticed_by integer
      );

      CREATE TABLE IF NOT EXISTS trunkline_demo.orders (
        id text PRIMARY KEY,
        customer text NOT NULL,
        item text NOT NULL,
        quantity integer NOT NULL,
        amount numeric(10, 2) NOT NULL,
        run_id integer NOT NULL,
        placed_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE IF NOT EXISTS trunkline_demo.deliveries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        order_id text NOT NULL,
        run_id integer NOT NULL,
        delivered_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );

      CREATE INDEX IF NOT EXISTS deliveries_order_idx
        ON trunkline_demo.deliveries (order_id, service);

      CREATE TABLE IF NOT EXISTS trunkline_demo.effects (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        order_id text NOT NULL,
        attempt integer NOT NULL,
        run_id integer NOT NULL,
        handled_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );

      CREATE INDEX IF NOT EXISTS effects_order_idx ON trunkline_demo.effects (order_id, service);

      CREATE TABLE IF NOT EXISTS trunkline_demo.failures (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        order_id text NOT NULL,
        attempt integer NOT NULL,
        run_id integer NOT NULL,
        reason text NOT NULL,
        failed_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );

      CREATE INDEX IF NOT EXISTS failures_order_idx ON trunkline_demo.failures (order_id, service);
      """;

  /** Makes what is missing. */
  static void create(Connection connection) throws SQLException {
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      statement.execute(LOCK);
      statement.execute(CREATE);
      connection.commit();
    }
  }
}
