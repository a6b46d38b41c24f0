package dev.trunkline.demo;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/** What the services were given and what they did, outside of their memory. */
final class EffectStore {
  private EffectStore() {}

  /**
   * A service is given an order; answers for the how manyth time. Nobody else is at the same time:
   * the partition is with one member.
   */
  private static final String ADD_DELIVERY =
      """
      INSERT INTO trunkline_demo.deliveries (service, order_id, run_id)
      VALUES (?, ?, ?)
      RETURNING 1 + (
        SELECT count(*)
        FROM trunkline_demo.deliveries d
        WHERE d.order_id = deliveries.order_id AND d.service = deliveries.service) AS attempt
      """;

  /** An effect. Nothing conflicts: what is done twice is seen to be. */
  private static final String ADD_EFFECT =
      """
      INSERT INTO trunkline_demo.effects (service, order_id, attempt, run_id)
      VALUES (?, ?, ?, ?)
      """;

  /** A service failed; it is given the order again. */
  private static final String ADD_FAILURE =
      """
      INSERT INTO trunkline_demo.failures (service, order_id, attempt, run_id, reason)
      VALUES (?, ?, ?, ?, ?)
      """;

  /** Which service does something with which order, and for the how manyth time. */
  record Handling(Service service, String orderId, int attempt, int run) {}

  static Handling addDelivery(Connection connection, Service service, String orderId, int run)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(ADD_DELIVERY)) {
      statement.setString(1, service.label());
      statement.setString(2, orderId);
      statement.setInt(3, run);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return new Handling(service, orderId, rows.getInt("attempt"), run);
      }
    }
  }

  static void addEffect(Connection connection, Handling handling) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(ADD_EFFECT)) {
      bind(statement, handling);
      statement.executeUpdate();
    }
  }

  static void addFailure(Connection connection, Handling handling, String reason)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(ADD_FAILURE)) {
      bind(statement, handling);
      statement.setString(5, reason);
      statement.executeUpdate();
    }
  }

  private static void bind(PreparedStatement statement, Handling handling) throws SQLException {
    statement.setString(1, handling.service().label());
    statement.setString(2, handling.orderId());
    statement.setInt(3, handling.attempt());
    statement.setInt(4, handling.run());
  }
}
