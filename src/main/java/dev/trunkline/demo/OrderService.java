package dev.trunkline.demo;

import dev.trunkline.message.Message;
import dev.trunkline.queue.Queue;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import javax.sql.DataSource;

/**
 * Takes orders: the order's row and one message per service are committed together, or not at all.
 * Thread-safe.
 *
 * <p>An order is known by its id, so sending it again is harmless: after a crash, or when the
 * answer to a commit was lost.
 */
final class OrderService {
  private final DataSource dataSource;
  private final List<Queue> queues;
  private final int run;

  /** Takes orders for these queues, in the name of this run. */
  OrderService(DataSource dataSource, List<Queue> queues, int run) {
    this.dataSource = dataSource;
    this.queues = List.copyOf(queues);
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
        Message message = Message.json(order).withKey(order.id()).withType("order.placed");
        for (Queue queue : queues) {
          queue.send(connection, message);
        }
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
