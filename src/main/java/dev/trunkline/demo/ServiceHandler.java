package dev.trunkline.demo;

import dev.trunkline.demo.EffectStore.Handling;
import dev.trunkline.demo.EffectStore.Incident;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.Handler;
import dev.trunkline.queue.Outcome;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/**
 * What a service does with an order: work for a while, then note the effect. Thread-safe.
 *
 * <p>The effect is committed before the message is acknowledged. A process that dies in between has
 * done it, and the message comes again: that is at-least-once. Payment recognises it by a unique
 * key; the others do it twice.
 */
final class ServiceHandler implements Handler {
  private static final Duration UNTIL_THE_DATABASE_IS_BACK = Duration.ofSeconds(1);

  private final Service service;
  private final Duration workTime;
  private final DataSource dataSource;
  private final ScheduledExecutorService clock;
  private final int run;

  /**
   * A handler for one service.
   *
   * @param workTime how long each message takes
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

  @Override
  public Outcome handle(Delivery delivery) throws Exception {
    Order order = delivery.message().json(Order.class);
    work();
    Handling handling = new Handling(service, order.id(), delivery, run);
    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(true);
      return handle(connection, handling, order);
    } catch (SQLException e) {
      // Nobody's fault: the message goes back and burns no attempt.
      return Outcome.release(UNTIL_THE_DATABASE_IS_BACK);
    }
  }

  private Outcome handle(Connection connection, Handling handling, Order order)
      throws SQLException {
    if (service == Service.PAYMENT && !order.costsSomething()) {
      String reason = "amount must be positive: " + order.amount().toPlainString();
      EffectStore.addIncident(connection, handling, Incident.REJECTED, reason);
      return Outcome.deadLetter(reason);
    }
    if (service == Service.WAREHOUSE
        && Trouble.sticksAtTheWarehouse(order.id(), handling.delivery().attempt())) {
      String reason = "the conveyor is stuck";
      EffectStore.addIncident(connection, handling, Incident.FAILED, reason);
      throw new IllegalStateException(reason);
    }
    if (!EffectStore.addEffect(connection, handling)) {
      EffectStore.addIncident(
          connection, handling, Incident.REPEATED, "recognised by the order's id");
    }
    return Outcome.ack();
  }

  private void work() throws Exception {
    if (!workTime.isZero()) {
      CompletableFuture<Void> done = new CompletableFuture<>();
      clock.schedule(() -> done.complete(null), workTime.toNanos(), TimeUnit.NANOSECONDS);
      done.get();
    }
  }
}
