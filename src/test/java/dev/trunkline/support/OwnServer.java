package dev.trunkline.support;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * An embedded server of a test's own, for what must not happen to the one that all tests share: it
 * writes to disk, is crashed, copied, stopped and started again. Not thread-safe.
 */
public final class OwnServer implements AutoCloseable {
  private final Path data;
  private final int port;
  private final Map<String, String> settings = new LinkedHashMap<>();
  private @Nullable EmbeddedPostgres postgres;

  private OwnServer(Path data, int port) {
    this.data = data;
    this.port = port;
    setting("fsync", "on");
    // So seldom that only what insists on it is on disk; synchronous_commit is off.
    setting("wal_writer_delay", "10s");
    setting("wal_writer_flush_after", "1GB");
    setting("unix_socket_directories", "");
    setting("shared_buffers", "32MB");
  }

  /** A server in this directory, not yet started. */
  public static OwnServer in(Path directory) {
    try (ServerSocket socket = new ServerSocket(0)) {
      Files.createDirectories(directory);
      for (Path path : new Path[] {directory.getParent(), directory}) {
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
      }
      return new OwnServer(directory.resolve("data"), socket.getLocalPort());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** For the next start. */
  public OwnServer setting(String name, String value) {
    settings.put(name, value);
    return this;
  }

  /** Starts it with what is in its directory, or with nothing. */
  public OwnServer start() {
    EmbeddedPostgres.Builder builder =
        EmbeddedPostgres.builder()
            .setPort(port)
            .setDataDirectory(data)
            .setCleanDataDirectory(false)
            .setPGStartupWait(Duration.ofSeconds(60));
    settings.forEach(builder::setServerConfig);
    try {
      postgres = builder.start();
      return this;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Path data() {
    return data;
  }

  public int port() {
    return port;
  }

  public String url(String database) {
    return "jdbc:postgresql://localhost:%d/%s?user=postgres".formatted(port, database);
  }

  public HikariDataSource pool(String database) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url(database));
    config.setConnectionTimeout(2_000);
    config.setMinimumIdle(0);
    // While the server is away, too.
    config.setInitializationFailTimeout(-1);
    return new HikariDataSource(config);
  }

  public Connection connect(String database) throws SQLException {
    return DriverManager.getConnection(url(database));
  }

  /** Runs a statement in a database; answers the first column of the first row, if there is any. */
  public @Nullable String run(String database, String sql) throws SQLException {
    try (Connection connection = connect(database);
        Statement statement = connection.createStatement()) {
      if (!statement.execute(sql)) {
        return null;
      }
      try (ResultSet rows = statement.getResultSet()) {
        return rows.next() ? rows.getString(1) : null;
      }
    }
  }

  /** As many transactions as given, each with an xid. */
  public void burnXids(int count) throws SQLException {
    run(
        "postgres",
        """
        DO $$
        BEGIN
          FOR i IN 1..%d LOOP
            PERFORM pg_current_xact_id();
            COMMIT;
          END LOOP;
        END
        $$
        """
            .formatted(count));
  }

  /** Every process of the server ends at once, without writing what it has in memory. */
  public void crash() {
    try {
      String pid = Files.readAllLines(data.resolve("postmaster.pid")).get(0).strip();
      ProcessHandle postmaster = ProcessHandle.of(Long.parseLong(pid)).orElseThrow();
      new ProcessBuilder("kill", "-QUIT", pid).start();
      Awaits.until(() -> !postmaster.isAlive());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    close();
  }

  /** Stops it in good order, if it runs. */
  @Override
  public void close() {
    if (postgres != null) {
      try {
        postgres.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } finally {
        postgres = null;
      }
    }
  }
}
