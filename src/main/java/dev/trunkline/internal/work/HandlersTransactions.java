package dev.trunkline.internal.work;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.HandlersConnection;
import dev.trunkline.internal.db.OwnTransaction;
import java.sql.Connection;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Calls handlers in transactions that commit together with the ack: their effects in this database
 * happen once. Thread-safe.
 *
 * @param <D> what a delivery is
 * @param <V> what becomes of one that is not acked
 */
public final class HandlersTransactions<D, V> {
  /*
   * The fence comes first and is a lock on the row of the delivery's own lease: while the transaction is open nobody can
   * take the delivery back, so the handler never works in vain, and a second delivery never runs into the locks of the
   * first. The lock lets renewals pass; without them a handler that takes long would find its lease expired the moment
   * its rollback gives up the lock, and the reaper would count what the outcome did not.
   *
   * Whatever is not an ack is settled after the rollback in a transaction of its own, as that of any other consumer is:
   * the attempt counts though nothing of it is left.
   */
  private static final Logger LOG = LoggerFactory.getLogger(HandlersTransactions.class);

  /** There was no connection to be had: nobody's fault, and not over in a moment. */
  private static final Duration UNTIL_THERE_IS_A_CONNECTION = Duration.ofSeconds(1);

  private final String owner;
  private final Database database;
  private final Semaphore slots;
  private final Fence<D> fence;
  private final Handler<D, V> handler;
  private final Set<OwnTransaction> running = ConcurrentHashMap.newKeySet();

  /** What is called, and how its end is told. */
  public interface Handler<D, V> {
    /**
     * Handles one delivery in the transaction of the connection.
     *
     * @return nothing if all of it is to be committed with the ack; else what becomes of the
     *     delivery when it has been rolled back
     * @throws Exception what the handler threw
     */
    Optional<V> handle(D delivery, Connection connection) throws Exception;

    /** A commit that was to ack failed, or its answer was lost. */
    V unsure(DatabaseException failure);

    /** The handler was not called. */
    V released(Duration after);
  }

  /**
   * For one consumer.
   *
   * @param owner begins the lines in the log
   */
  public HandlersTransactions(
      String owner, Database database, Fence<D> fence, Handler<D, V> handler) {
    this.owner = owner;
    this.database = database;
    this.slots = database.transactionSlots();
    this.fence = fence;
    this.handler = handler;
  }

  /**
   * Has one delivery handled. Waits while too many transactions are open.
   *
   * @return what is still to be done about it; empty if it has been settled, or is lost
   * @throws Exception what the handler threw
   */
  public Optional<V> handle(D delivery) throws Exception {
    slots.acquire();
    try (OwnTransaction transaction = begun()) {
      running.add(transaction);
      try {
        return inTransaction(transaction, delivery);
      } finally {
        running.remove(transaction);
      }
    } catch (NotBegunException e) {
      LOG.warn("{}: {} is given back, there is no transaction to be had", owner, delivery, e);
      return Optional.of(handler.released(UNTIL_THERE_IS_A_CONNECTION));
    } finally {
      slots.release();
    }
  }

  private Optional<V> inTransaction(OwnTransaction transaction, D delivery) throws Exception {
    if (!isHeld(transaction, delivery)) {
      return lost(delivery);
    }
    HandlersConnection connection = new HandlersConnection(transaction.connection());
    Optional<V> verdict;
    try {
      verdict = handler.handle(delivery, connection.connection());
    } finally {
      connection.end();
    }
    if (verdict.isPresent()) {
      return verdict;
    }
    // Whoever gave it back meanwhile, because the consumer stops, has the last word.
    return fence.settling(delivery).begin() ? ack(transaction, delivery) : Optional.empty();
  }

  private Optional<V> ack(OwnTransaction transaction, D delivery) {
    try {
      if (!transaction.<Boolean>run(session -> fence.ack(session, delivery))) {
        return lost(delivery);
      }
      fence.acked(delivery);
    } catch (DatabaseException e) {
      fence.settling(delivery).failed();
      throw e;
    }
    try {
      transaction.commit();
      return Optional.empty();
    } catch (DatabaseException e) {
      fence.settling(delivery).failed();
      LOG.warn(
          "{}: the commit of {} failed or was cut off, looking whether it took effect: {}",
          owner,
          delivery,
          e.getMessage());
      return Optional.of(handler.unsure(e));
    }
  }

  private OwnTransaction begun() throws NotBegunException {
    try {
      return database.begin();
    } catch (DatabaseException e) {
      throw new NotBegunException(e);
    }
  }

  private boolean isHeld(OwnTransaction transaction, D delivery) throws NotBegunException {
    try {
      return transaction.run(session -> fence.hold(session, delivery));
    } catch (DatabaseException e) {
      throw new NotBegunException(e);
    }
  }

  private Optional<V> lost(D delivery) {
    LOG.warn("{}: {}; nothing was committed", owner, fence.lost(delivery).getMessage());
    return Optional.empty();
  }

  /**
   * The time for running handlers is over: cuts their transactions off. The server rolls back what
   * it has not committed, and with it the locks go.
   */
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
