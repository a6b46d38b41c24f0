package dev.trunkline.internal.db;

import dev.trunkline.internal.loop.Loop;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Listens on a channel with one connection of its own, for as long as it is open. Thread-safe.
 *
 * <p>After each (re)connect the caller is told that anything may have been missed. If listening is
 * impossible (a driver that is not PostgreSQL's, a pool too small to spare a connection) it says so
 * once and gives up; polling carries on. Behind a pooler in transaction mode it cannot be told from
 * silence.
 */
public final class Notifications implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Notifications.class);

  /** How long one wait on the socket lasts: bounds how late a stop is noticed. */
  private static final int WAIT_MILLIS = 500;

  /** A connection that was silent for so long is asked whether it is still there. */
  private static final Duration PROBE_AFTER = Duration.ofMinutes(2);

  private static final Duration PROBE_TIMEOUT = Duration.ofSeconds(5);

  private final Database database;
  private final String channel;
  private final Consumer<String> onNotification;
  private final Runnable onConnected;
  private final Loop loop;
  private @Nullable Connection connection;
  private long heardNanos;

  /**
   * Makes it; {@link #start} connects.
   *
   * @param channel a plain lower-case identifier
   * @param onNotification gets each payload
   * @param onConnected is called when listening begins or begins again
   */
  public Notifications(
      Database database, String channel, Consumer<String> onNotification, Runnable onConnected) {
    this.database = database;
    this.channel = channel;
    this.onNotification = onNotification;
    this.onConnected = onConnected;
    this.loop = new Loop("listener", this::listen);
  }

  /** Begins to listen, in the background. */
  public void start() {
    loop.start();
  }

  private Duration listen() {
    try {
      Connection current = connection;
      if (current == null) {
        current = connect();
        if (current == null) {
          return Duration.ofDays(1);
        }
      }
      PGNotification[] notifications =
          current.unwrap(PGConnection.class).getNotifications(WAIT_MILLIS);
      if (notifications != null && notifications.length > 0) {
        heardNanos = System.nanoTime();
        for (PGNotification notification : notifications) {
          onNotification.accept(notification.getParameter());
        }
      } else if (System.nanoTime() - heardNanos > PROBE_AFTER.toNanos()) {
        if (!current.isValid((int) PROBE_TIMEOUT.toSeconds())) {
          throw new SQLException("the listening connection no longer answers", "08006");
        }
        heardNanos = System.nanoTime();
      }
      return Duration.ZERO;
    } catch (SQLException e) {
      disconnect();
      throw Database.translated(e);
    }
  }

  private @Nullable Connection connect() throws SQLException {
    if (!database.canSpareConnection()) {
      LOG.info("the pool is too small to keep a connection for LISTEN: consumers poll");
      return null;
    }
    Connection fresh = database.connect();
    try {
      if (!fresh.isWrapperFor(PGConnection.class)) {
        LOG.info("the driver cannot listen: consumers poll");
        fresh.close();
        return null;
      }
      fresh.setAutoCommit(true);
      try (Statement statement = fresh.createStatement()) {
        // No bind variables in LISTEN; the channel is a constant of ours.
        statement.execute("LISTEN " + channel);
      }
      connection = fresh;
      heardNanos = System.nanoTime();
      onConnected.run();
      return fresh;
    } catch (SQLException | RuntimeException e) {
      connection = null;
      discard(fresh);
      throw e;
    }
  }

  private void disconnect() {
    Connection broken = connection;
    connection = null;
    if (broken != null) {
      discard(broken);
    }
  }

  /** A connection that listens must not go back to the pool as it is. */
  private void discard(Connection listening) {
    try (Connection closing = listening;
        Statement statement = closing.createStatement()) {
      statement.setQueryTimeout((int) TimeUnit.MILLISECONDS.toSeconds(2_000));
      statement.execute("UNLISTEN " + channel);
    } catch (SQLException e) {
      LOG.debug("the listening connection was broken", e);
    }
  }

  /** Stops listening. Idempotent. */
  @Override
  public void close() {
    loop.close();
    disconnect();
  }
}
