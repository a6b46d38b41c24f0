package dev.trunkline.demo;

import dev.trunkline.demo.EffectStore.Handling;
import dev.trunkline.topic.TopicRecord;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/**
 * What a service does with an order: note that it was given it, work for a while, note the effect.
 * Thread-safe.
 *
 * <p>Payment notes its effect in the transaction of the group's offset: however often it is given
 * an order, it has charged it once. The others commit theirs before the offset. A process that dies
 * in between has done it, and the event comes again: that is at-least-once.
 */
final class ServiceHandler {
  private final Service service;
  private final Duration workTime;
  private final DataSource dataSource;
  private final ScheduledExecutorService clock;
  private final int run;

  /**
   * A handler for one service.
   *
   * @param workTime how long each event takes
   * @param clock tells when that is over
   */
  ServiceHandler(
      Service service,
      Duration workTime,
      DataSource dataSource,
      ScheduledExecutorService clock,
      int run) {
    this.service = service;
    this.workTime = workTime;
    this.dataSource = dataSource;
    this.clock = clock;
    this.run = run;
  }

  Service service() {
    return service;
  }

  Duration workTime() {
    return workTime;
  }

  /** Handles an event; the effect is committed when this returns. */
  void handle(TopicRecord event) throws Exception {
    Handling handling = begin(event);
    try (Connection connection = connect()) {
      if (service == Service.WAREHOUSE
          && Trouble.sticksAtTheWarehouse(handling.orderId(), handling.attempt())) {
        String reason = "the conveyor is stuck";
        EffectStore.addFailure(connection, handling, reason);
        throw new IllegalStateException(reason);
      }
      EffectStore.addEffect(connection, handling);
    }
  }

  /** Handles an event; the effect is committed with the transaction, or undone with it. */
  void handleIn(TopicRecord event, Connection transaction) throws Exception {
    Handling handling = begin(event);
    Order order = event.message().json(Order.class);
    if (service == Service.PAYMENT && !order.costsSomething()) {
      throw new RejectedException("amount must be positive: " + order.amount().toPlainString());
    }
    EffectStore.addEffect(transaction, handling);
  }

  /** Whatever becomes of it, that the service was given the event is on record. */
  private Handling begin(TopicRecord event) throws Exception {
    String orderId = event.message().json(Order.class).id();
    Handling handling;
    try (Connection connection = connect()) {
      handling = EffectStore.addDelivery(connection, service, orderId, run);
    }
    work();
    return handling;
  }

  private Connection connect() throws SQLException {
    Connection connection = dataSource.getConnection();
    connection.setAutoCommit(true);
    return connection;
  }

  private void work() throws Exception {
    if (!workTime.isZero()) {
      CompletableFuture<Void> done = new CompletableFuture<>();
      clock.schedule(() -> done.complete(null), workTime.toNanos(), TimeUnit.NANOSECONDS);
      done.get();
    }
  }
}
