package dev.trunkline.topic;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.HandlersConnection;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.SqlStates;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Calls a handler inside the transaction that takes the group past its record: its effect and the
 * offset are committed together, so a record has its effect exactly once. For one partition; used
 * by one thread at a time.
 *
 * <p>If the answer to a COMMIT is lost, nobody knows whether it took effect. The database is asked
 * before anything else is done: the transaction holds the partition's row until it has ended, and
 * then its row is there or is not.
 */
final class Transactions {
  private final Database database;
  private final GroupRow group;
  private final Held held;
  private @Nullable Unanswered unanswered;

  Transactions(Database database, GroupRow group, Held held) {
    this.database = database;
    this.group = group;
    this.held = held;
  }

  /** What became of a call. */
  enum End {
    /** The effect is there, and the group is past the record. */
    COMMITTED,

    /** The partition is another member's: the effect is undone. */
    LOST
  }

  /** A transaction whose COMMIT was sent and not answered. */
  private record Unanswered(long id, long next, @Nullable Redelivery redelivery) {}

  /** The partition turned out to be lost: rolls the transaction back. */
  private static final class Lost extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Lost() {
      super(null, null, false, false);
    }
  }

  /**
   * Finds out what became of an earlier call whose end was not known. To be called before anything
   * else is done.
   *
   * @return the offset to go on from, if that call has taken the group past records of the log
   * @throws DatabaseException if the database cannot be reached; to be called again
   */
  OptionalLong answer() {
    Unanswered asked = unanswered;
    if (asked == null) {
      return OptionalLong.empty();
    }
    boolean committed = wasCommitted(asked);
    unanswered = null;
    return committed && asked.redelivery() == null
        ? OptionalLong.of(asked.next())
        : OptionalLong.empty();
  }

  /**
   * Calls the handler.
   *
   * @param next the offset to go on from
   * @param redelivery where the record comes from, or null for the log
   * @throws HandlerFailure if the handler failed, or what it did could not be committed
   * @throws DatabaseException if the database cannot be reached; {@link #answer} is to be called
   */
  End run(
      List<TopicRecord> records, long next, @Nullable Redelivery redelivery, Handling.Call call) {
    try {
      database.inTransaction(
          session -> {
            handle(session, records, call);
            unanswered = new Unanswered(settle(session, next, redelivery), next, redelivery);
            return true;
          });
      unanswered = null;
      return End.COMMITTED;
    } catch (Lost e) {
      return End.LOST;
    } catch (DatabaseException e) {
      Unanswered asked = unanswered;
      if (asked != null && wasCommitted(asked)) {
        unanswered = null;
        return End.COMMITTED;
      }
      unanswered = null;
      // A constraint that is checked at the commit, or an error that the handler has hidden.
      if (!SqlStates.mayPassByItself(e) || SqlStates.isInFailedTransaction(e)) {
        throw new HandlerFailure(e);
      }
      throw e;
    }
  }

  private void handle(Session session, List<TopicRecord> records, Handling.Call call) {
    if (!TransactionStore.isOwner(session, group.id(), held)) {
      throw new Lost();
    }
    HandlersConnection own = session.forHandler();
    try {
      call.handle(records, own.connection());
    } catch (Throwable e) {
      throw new HandlerFailure(e);
    } finally {
      own.end();
    }
  }

  private long settle(Session session, long next, @Nullable Redelivery redelivery) {
    Optional<Long> id =
        redelivery == null
            ? TransactionStore.commit(
                session, group.id(), held, next, group.agreed().sessionTimeout())
            : TransactionStore.finish(
                session, group.id(), held, redelivery, group.agreed().sessionTimeout());
    return id.orElseThrow(Lost::new);
  }

  private boolean wasCommitted(Unanswered asked) {
    return database.inTransaction(
        session -> {
          TransactionStore.awaitEnd(session, group.id(), held.partition());
          Redelivery redelivery = asked.redelivery();
          return redelivery == null
              ? TransactionStore.hasCommitted(session, group.id(), held.partition(), asked.id())
              : !TransactionStore.isRedelivered(session, group.id(), redelivery);
        });
  }
}
