package dev.trunkline.demo;

import dev.trunkline.queue.Delivery;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;

/** What the services did, outside of their memory. */
final class EffectStore {
  private EffectStore() {}

  /**
   * An effect. For payment the partial unique index on order_id lets only the first one in; for the
   * others nothing conflicts.
   */
  private static final String ADD_EFFECT =
      """
      INSERT INTO trunkline_demo.effects (service, order_id, message_id, attempt, run_id)
      VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO NOTHING
      """;

  /** What a handler did instead of its effect. */
  private static final String ADD_INCIDENT =
      """
      INSERT INTO trunkline_demo.incidents (service, order_id, message_id, attempt, run_id, kind, detail)
      VALUES (?, ?, ?, ?, ?, ?, ?)
      """;

  /** What happened instead of an effect. */
  enum Incident {
    /** The attempt failed; another one follows. */
    FAILED,
    /** The effect was there already, and was not repeated. */
    REPEATED,
    /** The order went to the dead letters. */
    REJECTED
  }

  /** Who did something, and with which delivery. */
  record Handling(Service service, String orderId, Delivery delivery, int run) {}

  /** Answers whether the effect is new; false if the service is idempotent and has done it. */
  static boolean addEffect(Connection connection, Handling handling) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(ADD_EFFECT)) {
      bind(statement, handling);
      return statement.executeUpdate() == 1;
    }
  }

  static void addIncident(
      Connection connection, Handling handling, Incident incident, String detail)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(ADD_INCIDENT)) {
      bind(statement, handling);
      statement.setString(6, incident.name());
      statement.setString(7, detail);
      statement.executeUpdate();
    }
  }

  private static void bind(PreparedStatement statement, Handling handling) throws SQLException {
    statement.setString(1, handling.service().label());
    statement.setString(2, handling.orderId());
    statement.setLong(3, handling.delivery().id().value());
    statement.setInt(4, handling.delivery().attempt());
    statement.setInt(5, handling.run());
  }
}
