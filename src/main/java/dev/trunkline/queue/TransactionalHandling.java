package dev.trunkline.queue;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.HandlersConnection;
import dev.trunkline.internal.db.OwnTransaction;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The handler works in a transaction that commits together with the ack: its effects in this
 * database happen once. Thread-safe.
 */
final class TransactionalHandling implements Handling {
  /*
   * The fence comes first and is a lock on the row of the delivery's own lease: while the transaction is open nobody can
   * take the message back, so the handler never works in vain, and a second delivery never runs into the locks of the
   * first. The lock lets renewals pass; without them a handler that takes long would find its lease expired the moment
   * its rollback gives up the lock, and the reaper would count what the outcome did not.
   *
   * Whatever is not an ack is settled after the rollback in a transaction of its own, as that of any other consumer is:
   * the attempt counts though nothing of it is left.
   */
  private static final Logger LOG = LoggerFactory.getLogger(TransactionalHandling.class);

  /** There was no connection to be had: nobody's fault, and not over in a moment. */
  private static final Duration UNTIL_THERE_IS_A_CONNECTION = Duration.ofSeconds(1);

  private final String queue;
  private final Database database;
  private final Fence fence;
  private final Semaphore slots;
  private final TransactionalHandler handler;
  private final Set<OwnTransaction> running = ConcurrentHashMap.newKeySet();

  /**
   * For one consumer.
   *
   * @param slots transactions that may be open at the same time, shared by all consumers of the
   *     process
   */
  TransactionalHandling(
      String queue, Database database, Semaphore slots, TransactionalHandler handler) {
    this.queue = queue;
    this.database = database;
    this.fence = new Fence(database);
    this.slots = slots;
    this.handler = handler;
  }

  @Override
  public List<Delivery> claimed(List<Delivery> deliveries) {
    List<Delivery> held = fence.apart(deliveries);
    held.forEach(Delivery::settledByOutcomeOnly);
    return held;
  }

  @Override
  public Optional<Verdict> handle(Delivery delivery) throws Exception {
    slots.acquire();
    try (OwnTransaction transaction = begun()) {
      running.add(transaction);
      try {
        return inTransaction(transaction, delivery);
      } finally {
        running.remove(transaction);
      }
    } catch (NotBegunException e) {
      return Optional.of(notBegun(delivery, e));
    } finally {
      slots.release();
    }
  }

  private Optional<Verdict> inTransaction(OwnTransaction transaction, Delivery delivery)
      throws Exception {
    if (!isHeld(transaction, delivery)) {
      return lost(delivery);
    }
    if (delivery.isExpired()) {
      // While it waited for its transaction.
      return Optional.of(new Verdict.Expired());
    }
    HandlersConnection connection = new HandlersConnection(transaction.connection());
    Outcome outcome;
    try {
      outcome = Handling.said(handler.handle(delivery, connection.connection()));
    } finally {
      connection.end();
    }
    if (!(outcome instanceof Outcome.Ack)) {
      return Optional.of(Verdict.of(outcome));
    }
    // Whoever gave it back meanwhile, because the consumer stops, has the last word.
    return delivery.beginSettling() ? ack(transaction, delivery) : Optional.empty();
  }

  private Optional<Verdict> ack(OwnTransaction transaction, Delivery delivery) {
    try {
      if (!transaction.<Boolean>run(session -> fence.ack(session, delivery))) {
        return lost(delivery);
      }
      // From here on there is nothing to renew, whatever becomes of the commit.
      delivery.lease().settled(List.of(delivery.id().value()));
    } catch (DatabaseException e) {
      delivery.settlingFailed();
      throw e;
    }
    try {
      transaction.commit();
      return Optional.empty();
    } catch (DatabaseException e) {
      delivery.settlingFailed();
      LOG.warn(
          "{}: the commit of {} failed or was cut off, looking whether it took effect: {}",
          queue,
          delivery,
          e.getMessage());
      return Optional.of(new Verdict.Unsure(DeathError.of(e)));
    }
  }

  private OwnTransaction begun() throws NotBegunException {
    try {
      return database.begin();
    } catch (DatabaseException e) {
      throw new NotBegunException(e);
    }
  }

  private boolean isHeld(OwnTransaction transaction, Delivery delivery) throws NotBegunException {
    try {
      return transaction.run(session -> fence.hold(session, delivery));
    } catch (DatabaseException e) {
      throw new NotBegunException(e);
    }
  }

  private Optional<Verdict> lost(Delivery delivery) {
    delivery.lease().lose();
    LOG.warn("{}: {}; nothing was committed", queue, delivery.leaseLost().getMessage());
    return Optional.empty();
  }

  private Verdict notBegun(Delivery delivery, NotBegunException e) {
    LOG.warn("{}: {} is given back, there is no transaction to be had", queue, delivery, e);
    return new Verdict.Released(UNTIL_THERE_IS_A_CONNECTION);
  }

  /** The server rolls back what it has not committed, and with it the locks go. */
  @Override
  public void abandon() {
    running.forEach(OwnTransaction::abort);
  }

  /** The handler was not called. */
  private static final class NotBegunException extends Exception {
    private static final long serialVersionUID = 1L;

    NotBegunException(DatabaseException cause) {
      super(cause.getMessage(), cause);
    }
  }
}
