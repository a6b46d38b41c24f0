package dev.trunkline.internal.db;

import dev.trunkline.internal.loop.Loop;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Listens with one connection of its own, for all who want to hear, for as long as it is open.
 * Thread-safe.
 *
 * <p>After each (re)connect the caller is told that anything may have been missed. If listening is
 * impossible (a driver that is not PostgreSQL's, a pool too small to spare a connection) it says so
 * once and gives up; polling carries on. Behind a pooler in transaction mode it cannot be told from
 * silence.
 */
public final class Notifications implements AutoCloseable {
  /** PostgreSQL's channel name, a plain lower-case identifier. */
  public static final String CHANNEL = "trunkline";

  private static final Logger LOG = LoggerFactory.getLogger(Notifications.class);

  /** How long one wait on the socket lasts: bounds how late a stop is noticed. Asks nothing. */
  private static final int WAIT_MILLIS = 50;

  /** A connection that was silent for so long is asked whether it is still there. */
  private static final Duration PROBE_AFTER = Duration.ofMinutes(2);

  private static final Duration PROBE_TIMEOUT = Duration.ofSeconds(5);

  private final Database database;
  private final List<Listener> listeners = new CopyOnWriteArrayList<>();
  private final AtomicBoolean started = new AtomicBoolean();
  private final Loop loop;
  private @Nullable Connection connection;
  private long heardNanos;

  /** Who wants to hear. */
  private record Listener(Consumer<String> onNotification, Runnable onConnected) {}

  /** Makes it; {@link #start} connects. */
  public Notifications(Database database) {
    this.database = database;
    this.loop = new Loop("listener", this::listen);
  }

  /**
   * Adds somebody who wants to hear; before {@link #start}.
   *
   * @param onNotification gets each payload, those meant for others included
   * @param onConnected is called when listening begins or begins again
   */
  public void subscribe(Consumer<String> onNotification, Runnable onConnected) {
    listeners.add(new Listener(onNotification, onConnected));
  }

  /** Begins to listen, in the background, unless it has begun. */
  public void start() {
    if (started.compareAndSet(false, true)) {
      loop.start();
    }
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
          String text = notification.getParameter();
          listeners.forEach(listener -> listener.onNotification().accept(text));
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
        statement.execute("LISTEN " + CHANNEL);
      }
      connection = fresh;
      heardNanos = System.nanoTime();
      listeners.forEach(listener -> listener.onConnected().run());
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
      statement.execute("UNLISTEN " + CHANNEL);
    } catch (SQLException e) {
      LOG.debug("the listening connection was broken", e);
    }
  }

  /** Stops listening. Idempotent. */
  @Override
  public void close() {
    if (started.get()) {
      loop.close();
      disconnect();
    }
  }
}
