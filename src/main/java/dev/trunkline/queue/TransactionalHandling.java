package dev.trunkline.queue;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.work.Fence;
import dev.trunkline.internal.work.HandlersTransactions;
import dev.trunkline.message.Outcome;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * The handler works in a transaction that commits together with the ack: its effects in this
 * database happen once. Thread-safe.
 */
final class TransactionalHandling
    implements Handling, HandlersTransactions.Handler<Delivery, Verdict> {
  private final Fence<Delivery> fence;
  private final TransactionalHandler handler;
  private final HandlersTransactions<Delivery, Verdict> transactions;

  /** For one consumer. */
  TransactionalHandling(String queue, Database database, TransactionalHandler handler) {
    this.fence = LeasedMessages.fence(database);
    this.handler = handler;
    this.transactions = new HandlersTransactions<>(queue, database, fence, this);
  }

  @Override
  public List<Delivery> claimed(List<Delivery> deliveries) {
    List<Delivery> held = fence.apart(deliveries);
    held.forEach(delivery -> delivery.settling().byOutcomeOnly());
    return held;
  }

  @Override
  public Optional<Verdict> handle(Delivery delivery) throws Exception {
    return transactions.handle(delivery);
  }

  @Override
  public Optional<Verdict> handle(Delivery delivery, Connection connection) throws Exception {
    if (delivery.isExpired()) {
      // While it waited for its transaction.
      return Optional.of(new Verdict.Expired());
    }
    Outcome outcome = Handling.said(handler.handle(delivery, connection));
    return outcome instanceof Outcome.Ack ? Optional.empty() : Optional.of(Verdict.of(outcome));
  }

  @Override
  public Verdict unsure(DatabaseException failure) {
    return new Verdict.Unsure(DeathError.of(failure));
  }

  @Override
  public Verdict released(Duration after) {
    return new Verdict.Released(after);
  }

  @Override
  public void abandon() {
    transactions.abandon();
  }
}
