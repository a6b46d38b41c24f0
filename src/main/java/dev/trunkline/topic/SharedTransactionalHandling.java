package dev.trunkline.topic;

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
final class SharedTransactionalHandling
    implements SharedHandling, HandlersTransactions.Handler<SharedDelivery, Verdict> {
  private final Fence<SharedDelivery> fence;
  private final SharedTransactionalHandler handler;
  private final HandlersTransactions<SharedDelivery, Verdict> transactions;

  /** For one consumer of the group of this title. */
  SharedTransactionalHandling(String title, Database database, SharedTransactionalHandler handler) {
    this.fence = LeasedRecords.fence(database);
    this.handler = handler;
    this.transactions = new HandlersTransactions<>(title, database, fence, this);
  }

  @Override
  public List<SharedDelivery> claimed(List<SharedDelivery> deliveries) {
    List<SharedDelivery> held = fence.apart(deliveries);
    held.forEach(delivery -> delivery.settling().byOutcomeOnly());
    return held;
  }

  @Override
  public Optional<Verdict> handle(SharedDelivery delivery) throws Exception {
    return transactions.handle(delivery);
  }

  @Override
  public Optional<Verdict> handle(SharedDelivery delivery, Connection connection) throws Exception {
    Outcome outcome = SharedHandling.said(handler.handle(delivery, connection));
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
