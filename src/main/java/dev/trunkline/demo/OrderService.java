package dev.trunkline.demo;

import dev.trunkline.message.Message;
import dev.trunkline.topic.Topic;
import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;

/**
 * Takes orders: the order's row and one event are committed together, or not at all. Who hears of
 * it is not its business. Thread-safe.
 *
 * <p>An order is known by its id, so sending it again is harmless: after a crash, or when the
 * answer to a commit was lost.
 */
final class OrderService {
  private final DataSource dataSource;
  private final Topic topic;
  private final int run;

  /** Takes orders and publishes them to this topic, in the name of this run. */
  OrderService(DataSource dataSource, Topic topic, int run) {
    this.dataSource = dataSource;
    this.topic = topic;
    this.run = run;
  }

  /**
   * Places an order. When this returns, what it says is on disk.
   *
   * @throws SQLException or a {@link dev.trunkline.error.DatabaseException} if the database cannot
   *     be reached: whether the order was committed is found out by placing it again
   */
  Placement place(Order order) throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(false);
      try {
        if (!OrderStore.insert(connection, order, run)) {
          return existing(connection, order);
        }
        topic.publish(connection, Message.json(order).withKey(order.id()).withType("order.placed"));
        connection.commit();
        return Placement.ACCEPTED;
      } catch (SQLException | RuntimeException e) {
        rollBack(connection, e);
        throw e;
      }
    }
  }

  private static Placement existing(Connection connection, Order order) throws SQLException {
    boolean same = OrderStore.find(connection, order.id()).filter(order::saysTheSameAs).isPresent();
    connection.rollback();
    return same ? Placement.KNOWN : Placement.CONFLICTING;
  }

  private static void rollBack(Connection connection, Exception reason) {
    try {
      connection.rollback();
    } catch (SQLException e) {
      reason.addSuppressed(e);
    }
  }
}
