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
   * effects says what was done, once per time it was done; incidents what a handler did instead. No
   * foreign keys: an effect without its order must be seen, not refused. The unique index makes
   * payment idempotent, and only payment: the others show what at-least-once means.
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

      CREATE TABLE IF NOT EXISTS trunkline_demo.effects (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        service text NOT NULL,
        order_id text NOT NULL,
        message_id bigint NOT NULL,
        attempt integer NOT NULL,
        run_id integer NOT NULL,
        handled_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );

      CREATE UNIQUE INDEX IF NOT EXISTS effects_payment_once_idx
        ON trunkline_demo.effects (order_id) WHERE service = 'payment';
      CREATE INDEX IF NOT EXISTS effects_order_idx ON trunkline_demo.effects (order_id, service);

      CREATE TABLE IF NOT EXISTS trunkline_demo.incidents (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        service text NOT NULL,
        order_id text NOT NULL,
        message_id bigint NOT NULL,
        attempt integer NOT NULL,
        run_id integer NOT NULL,
        detail text NOT NULL,
        happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT incidents_kind_is_known CHECK (kind IN ('FAILED', 'REPEATED', 'REJECTED'))
      );

      CREATE INDEX IF NOT EXISTS incidents_order_idx ON trunkline_demo.incidents (order_id, service);
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
