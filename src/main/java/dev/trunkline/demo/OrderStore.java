package dev.trunkline.demo;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Optional;

/** The order service's own table. */
final class OrderStore {
  private OrderStore() {}

  /**
   * Adds an order if its id is new. Waits for another transaction that is adding the same id, and
   * sees what became of it.
   */
  private static final String INSERT =
      """
      INSERT INTO trunkline_demo.orders (id, customer, item, quantity, amount, run_id)
      VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (id) DO NOTHING
      """;

  /** An order by its primary key. */
  private static final String FIND =
      """
      SELECT id, customer, item, quantity, amount
      FROM trunkline_demo.orders
      WHERE id = ?
      """;

  /** Answers whether it was added; else there is one with its id. */
  static boolean insert(Connection connection, Order order, int run) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(INSERT)) {
      statement.setString(1, order.id());
      statement.setString(2, order.customer());
      statement.setString(3, order.item());
      statement.setInt(4, order.quantity());
      statement.setBigDecimal(5, order.amount());
      statement.setInt(6, run);
      return statement.executeUpdate() == 1;
    }
  }

  static Optional<Order> find(Connection connection, String id) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(FIND)) {
      statement.setString(1, id);
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next() ? Optional.of(order(rows)) : Optional.empty();
      }
    }
  }

  private static Order order(ResultSet row) throws SQLException {
    return new Order(
        row.getString("id"),
        row.getString("customer"),
        row.getString("item"),
        row.getInt("quantity"),
        row.getBigDecimal("amount"));
  }
}
