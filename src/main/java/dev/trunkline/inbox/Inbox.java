package dev.trunkline.inbox;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.MessageId;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import org.jdbi.v3.core.Handle;

/**
 * Remembers what one consumer has handled, so that a message that is delivered again is not done
 * again. For handlers that write in a transaction of their own; those that can leave the
 * transaction to the library have {@code Queue.consumeTransactionally}. Thread-safe.
 *
 * <p>All methods throw {@link DatabaseException} if the statement fails; then the transaction has
 * to be rolled back. At REPEATABLE READ and above that is also what becomes of the second of two
 * that handle the same message at once (SQLSTATE 40001).
 */
public final class Inbox {
  /** How long a message is remembered unless something else is asked for: 7 days. */
  public static final Duration DEFAULT_RETENTION = Duration.ofDays(7);

  private static final Duration LONGEST_RETENTION = Duration.ofDays(3650);
  private static final String NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,119}";
  private static final int LONGEST_KEY = 1000;

  private final Database database;
  private final String consumer;
  private final Duration retention;

  /**
   * For the library; users have {@code Trunkline.inbox}.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public Inbox(Database database, String consumer, Duration retention) {
    if (!requireNonNull(consumer, "consumer").matches(NAME)) {
      throw new IllegalArgumentException(
          "consumer must be 1 to 120 letters, digits, dots, hyphens or underscores, beginning with a"
              + " letter or digit: "
              + consumer);
    }
    if (requireNonNull(retention, "retention").toMillis() < 1
        || retention.compareTo(LONGEST_RETENTION) > 0) {
      throw new IllegalArgumentException(
          "retention must be between 1 ms and 3650 days: " + retention);
    }
    this.database = database;
    this.consumer = consumer;
    this.retention = retention;
  }

  /** The name: who remembers. */
  public String consumer() {
    return consumer;
  }

  /** How long a message is remembered at least. */
  public Duration retention() {
    return retention;
  }

  /**
   * Remembers a message as part of the caller's transaction, and says whether it was not there.
   * Waits for another transaction that is handling the same message at this moment. The connection
   * is neither committed, rolled back nor closed.
   *
   * @return true if the work is to be done, in this transaction; false if it was done in one that
   *     has committed
   * @throws IllegalStateException if the connection is in auto-commit mode: a message that is
   *     remembered before its work is done would not be done again if that fails
   */
  public boolean firstTime(Connection connection, MessageId messageId) {
    return firstTime(connection, String.valueOf(requireNonNull(messageId, "messageId").value()));
  }

  /** Like {@link #firstTime(Connection, MessageId)}, with the connection of a Jdbi handle. */
  public boolean firstTime(Handle handle, MessageId messageId) {
    return firstTime(handle.getConnection(), messageId);
  }

  /**
   * Like {@link #firstTime(Connection, MessageId)}, for what has an identity of another kind: a key
   * of the business, a place in a topic.
   *
   * @param key 1 to 1,000 characters, without U+0000; a number in digits is the message of that id
   */
  public boolean firstTime(Connection connection, String key) {
    requireNonNull(connection, "connection");
    if (requireNonNull(key, "key").isEmpty() || key.length() > LONGEST_KEY) {
      throw new IllegalArgumentException(
          "key must have 1 to 1000 characters: " + (key.isEmpty() ? "\"\"" : key.length()));
    }
    if (key.indexOf('\0') >= 0) {
      throw new IllegalArgumentException("key must not contain U+0000: " + key.replace('\0', '?'));
    }
    requireTransaction(connection);
    return database.<Boolean>on(
        connection, session -> InboxStore.add(session, consumer, key, retention.toMillis()));
  }

  private static void requireTransaction(Connection connection) {
    try {
      if (connection.getAutoCommit()) {
        throw new IllegalStateException(
            "the connection is in auto-commit mode: the message would be remembered before its work"
                + " is done");
      }
    } catch (SQLException e) {
      throw new DatabaseException(String.valueOf(e.getMessage()), e.getSQLState(), e);
    }
  }

  @Override
  public String toString() {
    return "Inbox[" + consumer + "]";
  }
}
