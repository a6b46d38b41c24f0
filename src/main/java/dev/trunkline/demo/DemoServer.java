package dev.trunkline.demo;

import static java.util.Objects.requireNonNull;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A durable PostgreSQL of the program's own, on a free loopback port, for who has no other at hand.
 *
 * <p>The embedded server is made for unit tests and comes with fsync and synchronous_commit
 * switched off. Here both are on, and {@link #temporary} and {@link #keptIn} check that they are:
 * what a commit promises survives kill -9.
 *
 * <p>Closed by {@link #close} or when the JVM shuts down. Thread-safe.
 */
public final class DemoServer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(DemoServer.class);

  /** Long enough for the crash recovery of what a demo writes. */
  private static final Duration STARTUP_WAIT = Duration.ofSeconds(60);

  private static final String USER = "postgres";
  private static final String DATABASE = "postgres";
  private static final List<String> DURABLE =
      List.of("fsync", "synchronous_commit", "full_page_writes");

  private final EmbeddedPostgres postgres;
  private final @Nullable DataDirectory kept;
  private final Deque<AutoCloseable> clients = new ArrayDeque<>();
  private final Thread hook = new Thread(this::shutDown, "demo-server-shutdown");
  private boolean closed;

  private DemoServer(EmbeddedPostgres postgres, @Nullable DataDirectory kept) {
    this.postgres = postgres;
    this.kept = kept;
  }

  /** Starts a server whose data is deleted when it is closed. */
  public static DemoServer temporary() {
    // Beside the unpacked binaries, where the embedded server looks for what killed processes left
    // behind.
    Path parent = Path.of(System.getProperty("java.io.tmpdir"), "embedded-pg");
    try {
      Path data = Files.createTempDirectory(Files.createDirectories(parent), "demo-");
      return checked(new DemoServer(durable().setDataDirectory(data).start(), null));
    } catch (IOException e) {
      throw new UncheckedIOException("the embedded PostgreSQL did not start: " + e.getMessage(), e);
    }
  }

  /**
   * Starts a server on the data that an earlier one left in this directory, or on new data. A
   * server that a killed process left running on it is stopped first.
   *
   * @throws IllegalStateException if another live process uses the directory
   */
  public static DemoServer keptIn(Path directory) {
    DataDirectory kept = DataDirectory.lock(requireNonNull(directory, "directory"));
    try {
      kept.prepare();
      EmbeddedPostgres postgres =
          durable()
              .setDataDirectory(kept.data())
              .setCleanDataDirectory(false)
              .setOutputRedirector(ProcessBuilder.Redirect.appendTo(kept.log().toFile()))
              .start();
      DemoServer server = checked(new DemoServer(postgres, kept));
      kept.initialized();
      return server;
    } catch (IOException e) {
      kept.close();
      throw new UncheckedIOException(
          "PostgreSQL did not start on " + kept + ": " + e.getMessage(), e);
    } catch (RuntimeException e) {
      kept.close();
      throw e;
    }
  }

  /** The JDBC URL; it names the user, and no password is asked for. */
  public String url() {
    return "jdbc:postgresql://localhost:%d/%s?user=%s"
        .formatted(postgres.getPort(), DATABASE, USER);
  }

  /** The user of {@link #url}: a superuser. */
  public String user() {
    return USER;
  }

  /** The loopback port. */
  public int port() {
    return postgres.getPort();
  }

  /** Connections without a pool. */
  public DataSource dataSource() {
    return postgres.getDatabase(USER, DATABASE);
  }

  /**
   * Closes this client before the server when the JVM shuts down; the client given last goes first.
   */
  public synchronized void closeFirst(AutoCloseable client) {
    clients.push(client);
  }

  /** Stops the server and waits for it. Closing twice does nothing. */
  @Override
  public void close() {
    if (stop()) {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        LOG.trace("the JVM shuts down already", e);
      }
    }
  }

  private static EmbeddedPostgres.Builder durable() {
    // The settings follow the library's -F on the command line, so they win. No Unix socket: its
    // path is per port, not
    // per data directory, and a killed server leaves it behind.
    return EmbeddedPostgres.builder()
        .setServerConfig("fsync", "on")
        .setServerConfig("synchronous_commit", "on")
        .setServerConfig("full_page_writes", "on")
        .setServerConfig("unix_socket_directories", "")
        .setPGStartupWait(STARTUP_WAIT)
        .setRegisterShutdownHook(false);
  }

  private static DemoServer checked(DemoServer server) {
    try {
      server.requireDurable();
      Runtime.getRuntime().addShutdownHook(server.hook);
      return server;
    } catch (SQLException e) {
      server.stop();
      throw new IllegalStateException(
          "the embedded PostgreSQL cannot be asked for its settings", e);
    } catch (RuntimeException e) {
      server.stop();
      throw e;
    }
  }

  private void requireDurable() throws SQLException {
    try (Connection connection = dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      for (String setting : DURABLE) {
        try (ResultSet rows = statement.executeQuery("SHOW " + setting)) {
          if (!rows.next() || !"on".equals(rows.getString(1))) {
            throw new IllegalStateException(
                "the embedded PostgreSQL is not durable: " + setting + " is not on");
          }
        }
      }
    }
  }

  private void shutDown() {
    for (AutoCloseable client : clientsToClose()) {
      try {
        client.close();
      } catch (Exception e) {
        LOG.warn("a client of the embedded PostgreSQL did not close: {}", e.toString());
      }
    }
    stop();
  }

  private synchronized List<AutoCloseable> clientsToClose() {
    return List.copyOf(clients);
  }

  private synchronized boolean stop() {
    if (closed) {
      return false;
    }
    closed = true;
    try {
      postgres.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      if (kept != null) {
        kept.close();
      }
    }
    return true;
  }
}
