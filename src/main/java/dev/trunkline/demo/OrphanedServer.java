package dev.trunkline.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A PostgreSQL that may have outlived the JVM that started it: kill -9 ends the JVM, not the
 * server.
 *
 * <p>Known by the server's own {@code postmaster.pid}, whose lines are: process id, data directory,
 * start time in seconds, port. The caller holds the directory's lock, so no live JVM has a claim on
 * the server.
 */
final class OrphanedServer {
  private static final Logger LOG = LoggerFactory.getLogger(OrphanedServer.class);
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  /** How far the start that a server wrote down is from its process's start, at most. */
  private static final Duration START_SLACK = Duration.ofSeconds(10);

  /** A server told to stop waits for its clients, and a killed JVM's may be in a long statement. */
  private static final String END_CLIENTS =
      """
      SELECT pg_terminate_backend(pid)
      FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
      """;

  private final Path data;
  private final Path pidFile;

  private OrphanedServer(Path data) {
    this.data = data;
    this.pidFile = data.resolve("postmaster.pid");
  }

  /** The server of this data directory, if it still runs. */
  static OrphanedServer in(Path data) {
    return new OrphanedServer(data);
  }

  /** Stops it, or does nothing where none runs. Afterwards a new server can start on the data. */
  void stop() throws IOException {
    if (!Files.exists(pidFile)) {
      return;
    }
    List<String> lines = Files.readAllLines(pidFile);
    Optional<ProcessHandle> running = processOf(lines);
    if (running.isEmpty()) {
      return; // A new server takes a dead one's file for what it is.
    }
    ProcessHandle process = running.get();
    Optional<Boolean> isPostgres = process.info().command().map(OrphanedServer::isPostgres);
    if (isPostgres.equals(Optional.of(false))) {
      LOG.info("process {} is another program now than the PostgreSQL on {}", process.pid(), data);
      Files.delete(pidFile);
    } else if (endClients(lines) || startedThen(process, lines)) {
      LOG.info("stopping the PostgreSQL left behind on {}: process {}", data, process.pid());
      end(process);
    } else if (isPostgres.isPresent()) {
      throw new IllegalStateException(
          "process %d may be a PostgreSQL on %s: stop it, or delete %s if it is not"
              .formatted(process.pid(), data, pidFile));
    }
  }

  private static Optional<ProcessHandle> processOf(List<String> lines) {
    return numberAt(lines, 0).flatMap(ProcessHandle::of).filter(ProcessHandle::isAlive);
  }

  private static boolean isPostgres(String program) {
    return String.valueOf(Path.of(program).getFileName()).startsWith("postgres");
  }

  /** Process ids are used again, so the start must agree as well. */
  private static boolean startedThen(ProcessHandle process, List<String> lines) {
    Optional<Instant> written = numberAt(lines, 2).map(Instant::ofEpochSecond);
    Optional<Instant> started = process.info().startInstant();
    return written.isPresent()
        && started.isPresent()
        && Duration.between(started.get(), written.get()).abs().compareTo(START_SLACK) <= 0;
  }

  private static Optional<Long> numberAt(List<String> lines, int index) {
    try {
      return index < lines.size()
          ? Optional.of(Long.parseLong(lines.get(index).strip()))
          : Optional.empty();
    } catch (NumberFormatException e) {
      return Optional.empty();
    }
  }

  /** Ends the sessions of the server; false where no server answers for this data directory. */
  private boolean endClients(List<String> lines) {
    Optional<Long> port = numberAt(lines, 3);
    if (port.isEmpty()) {
      return false;
    }
    String url =
        "jdbc:postgresql://localhost:%d/postgres?user=postgres&connectTimeout=2&socketTimeout=5";
    try (Connection connection = DriverManager.getConnection(url.formatted(port.get()));
        Statement statement = connection.createStatement()) {
      try (ResultSet rows = statement.executeQuery("SHOW data_directory")) {
        if (!rows.next() || !Files.isSameFile(data, Path.of(rows.getString(1)))) {
          return false;
        }
      }
      statement.execute(END_CLIENTS);
      return true;
    } catch (SQLException | IOException e) {
      LOG.debug("no PostgreSQL answers for {}", data, e);
      return false;
    }
  }

  private void end(ProcessHandle process) throws IOException {
    process.destroy();
    if (!ended(process)) {
      // To PostgreSQL a crash: the next start recovers, and nothing committed is lost.
      process.destroyForcibly();
      if (!ended(process)) {
        throw new IOException("process " + process.pid() + " on " + data + " does not stop");
      }
    }
  }

  private static boolean ended(ProcessHandle process) throws IOException {
    try {
      process.onExit().get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException e) {
      return false;
    } catch (ExecutionException e) {
      throw new IOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while a PostgreSQL was being stopped", e);
    }
  }
}
