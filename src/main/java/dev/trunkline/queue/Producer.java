package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.ProducerFencedException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.name.ValidName;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A named producer of a queue: numbers what it sends, so that each number is sent once, for ever,
 * whatever crashes in between. Thread-safe; its sends wait for each other.
 *
 * <p>Whoever has something to send that has an order (lines of a file, places in another log) gives
 * each its place as a sequence. After a crash {@link #lastSequence} says where to go on, and what
 * is sent again is confirmed and not stored.
 *
 * <p>There is one at a time: opening the name again, with {@link Queue#producer}, fences this one.
 * Each of its sends throws {@link ProducerFencedException} from then on, and {@link
 * QueueNotFoundException} if the queue has been deleted.
 */
public final class Producer {
  private final Queue queue;
  private final Database database;
  private final String name;
  private final ProducerStore.Opened opened;

  private Producer(Queue queue, Database database, String name, ProducerStore.Opened opened) {
    this.queue = queue;
    this.database = database;
    this.name = name;
    this.opened = opened;
  }

  static Producer open(Queue queue, Database database, QueueRow row, String name) {
    ValidName.checked("name", name);
    ProducerStore.Opened opened =
        database
            .run(session -> ProducerStore.open(session, row.id(), name))
            .orElseThrow(() -> new QueueNotFoundException(row.name()));
    return new Producer(queue, database, name, opened);
  }

  /** The name. */
  public String name() {
    return name;
  }

  /** How often the name was opened, this time included. */
  public long epoch() {
    return opened.epoch();
  }

  /** The highest sequence that was sent under the name, by whatever epoch; empty if none was. */
  public OptionalLong lastSequence() {
    return database
        .run(session -> ProducerStore.standing(session, opened))
        .orElseThrow(() -> new QueueNotFoundException(queue.name()))
        .lastSequence();
  }

  /**
   * Sends a message in a transaction of its own, unless its sequence, or a higher one, was sent
   * before; on disk when this returns.
   *
   * @param sequence zero or more; gaps are allowed
   * @return the id it was given, or empty if there was nothing left to do
   * @throws ProducerFencedException if the name was opened again; nothing was sent
   */
  public Optional<MessageId> send(long sequence, Message message) {
    check(sequence, message);
    Optional<Sender.Sent> sent =
        database.inTransaction(session -> isNew(session, sequence, message, false));
    sent.ifPresent(queue::committed);
    return sent.map(one -> one.ids().get(0));
  }

  /**
   * Sends a message as part of the caller's transaction, unless its sequence, or a higher one, was
   * sent before. Other sends of the producer, and whoever opens it, wait until that transaction
   * ends.
   *
   * @param sequence zero or more; gaps are allowed
   * @return the id it was given, or empty if there was nothing left to do
   * @throws ProducerFencedException if the name was opened again; nothing was sent, the transaction
   *     lives
   * @throws IllegalStateException if the connection is in auto-commit mode, or its transaction is
   *     not READ COMMITTED: it would not see what was sent meanwhile
   */
  public Optional<MessageId> send(Connection connection, long sequence, Message message) {
    check(sequence, message);
    requireTransaction(requireNonNull(connection, "connection"));
    return database
        .<Optional<Sender.Sent>>on(connection, session -> isNew(session, sequence, message, true))
        .map(sent -> sent.ids().get(0));
  }

  private Optional<Sender.Sent> isNew(
      Session session, long sequence, Message message, boolean callers) {
    ProducerStore.Standing standing =
        ProducerStore.hold(session, opened)
            .orElseThrow(() -> new QueueNotFoundException(queue.name()));
    if (!standing.isolation().equals("read committed")) {
      throw new IllegalStateException(
          "the transaction must be READ COMMITTED, else it does not see what was sent meanwhile: "
              + standing.isolation());
    }
    if (standing.epoch() != opened.epoch()) {
      throw new ProducerFencedException(queue.name(), name, opened.epoch());
    }
    if (sequence <= standing.last()) {
      return Optional.empty();
    }
    Sender.Sent sent =
        callers ? queue.sendIn(session, List.of(message)) : queue.store(session, message);
    ProducerStore.advance(session, opened, sequence);
    return Optional.of(sent);
  }

  private static void check(long sequence, Message message) {
    requireNonNull(message, "message");
    if (sequence < 0) {
      throw new IllegalArgumentException("sequence must not be negative: " + sequence);
    }
  }

  private static void requireTransaction(Connection connection) {
    try {
      if (connection.getAutoCommit()) {
        throw new IllegalStateException(
            "the connection is in auto-commit mode: message and sequence would not be stored"
                + " together");
      }
    } catch (SQLException e) {
      throw new DatabaseException(String.valueOf(e.getMessage()), e.getSQLState(), e);
    }
  }

  @Override
  public String toString() {
    return "Producer[%s of %s, epoch %d]".formatted(name, queue.name(), opened.epoch());
  }
}
