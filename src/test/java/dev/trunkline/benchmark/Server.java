package dev.trunkline.benchmark;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.demo.DemoServer;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The PostgreSQL that is measured, durable by its own word, and what it says about itself.
 * Thread-safe.
 */
final class Server implements AutoCloseable {
  private static final int POOL_SIZE = 12;

  private final @Nullable DemoServer embedded;
  private final HikariDataSource pool;

  private Server(@Nullable DemoServer embedded, String url) {
    this.embedded = embedded;
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url);
    config.setPoolName("benchmark");
    config.setMaximumPoolSize(POOL_SIZE);
    this.pool = new HikariDataSource(config);
  }

  /** One of our own, which goes with its data when this is closed. */
  static Server embedded() {
    DemoServer embedded = DemoServer.temporary();
    try {
      return new Server(embedded, embedded.url()).requireDurable();
    } catch (RuntimeException e) {
      embedded.close();
      throw e;
    }
  }

  /** An existing one. */
  static Server at(String url) {
    return new Server(null, url).requireDurable();
  }

  private Server requireDurable() {
    for (String setting : List.of("fsync", "synchronous_commit")) {
      String value = show(setting);
      if (!value.equals("on")) {
        pool.close();
        throw new IllegalStateException(
            "a rate without durability means nothing: %s is %s".formatted(setting, value));
      }
    }
    return this;
  }

  HikariDataSource pool() {
    return pool;
  }

  String url() {
    return pool.getJdbcUrl();
  }

  /** A pooled connection. */
  Connection connection() throws SQLException {
    return pool.getConnection();
  }

  /** What the numbers depend on. */
  String describe() {
    return "PostgreSQL %s: fsync=%s synchronous_commit=%s full_page_writes=%s data_checksums=%s shared_buffers=%s max_wal_size=%s autovacuum_naptime=%s"
        .formatted(
            show("server_version"),
            show("fsync"),
            show("synchronous_commit"),
            show("full_page_writes"),
            show("data_checksums"),
            show("shared_buffers"),
            show("max_wal_size"),
            show("autovacuum_naptime"));
  }

  private String show(String setting) {
    return query("SHOW " + setting, row -> row.getString(1)).get(0);
  }

  /**
   * Makes autovacuum look every second instead of every minute, so that each of those who take
   * turns pays for the dead rows it leaves: else it is chance in whose turn the vacuum falls, and
   * the page images that it writes. A server that is not ours stays as it is.
   */
  void vacuumSoon() {
    if (embedded != null) {
      execute("ALTER SYSTEM SET autovacuum_naptime = '1s'");
      execute("SELECT pg_reload_conf()");
    }
  }

  void execute(String sql) {
    try (Connection connection = pool.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Maps the current row of a result. */
  @FunctionalInterface
  interface RowMapper<T> {
    T map(ResultSet row) throws SQLException;
  }

  <T> List<T> query(String sql, RowMapper<T> mapper) {
    try (Connection connection = pool.getConnection();
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      List<T> all = new ArrayList<>();
      while (rows.next()) {
        all.add(mapper.map(rows));
      }
      return all;
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Counters at one moment.
   *
   * @param nanos when
   * @param walBytes written to the log since the server was made
   * @param fullPages page images among it
   * @param transactions committed in this database, as far as has been reported
   * @param clientCpu of this JVM
   * @param serverCpu of the server's living processes; zero if it is not on this machine
   */
  record Counters(
      long nanos,
      long walBytes,
      long fullPages,
      long transactions,
      Duration clientCpu,
      Duration serverCpu) {}

  Counters counters() {
    String sql =
        """
        SELECT
          pg_current_wal_insert_lsn() - pg_lsn '0/0' AS wal_bytes,
          (SELECT wal_fpi FROM pg_stat_wal) AS full_pages,
          (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS transactions,
          pg_backend_pid() AS pid
        """;
    return query(
            sql,
            row ->
                new Counters(
                    System.nanoTime(),
                    row.getLong("wal_bytes"),
                    row.getLong("full_pages"),
                    row.getLong("transactions"),
                    cpuOf(ProcessHandle.current()),
                    serverCpu(row.getLong("pid"))))
        .get(0);
  }

  /** All children of the postmaster, to whom any backend's process leads. */
  private static Duration serverCpu(long backendPid) {
    return ProcessHandle.of(backendPid)
        .filter(process -> process.info().command().orElse("").endsWith("postgres"))
        .flatMap(ProcessHandle::parent)
        .map(
            postmaster ->
                postmaster.children().map(Server::cpuOf).reduce(Duration.ZERO, Duration::plus))
        .orElse(Duration.ZERO);
  }

  private static Duration cpuOf(ProcessHandle process) {
    return process.info().totalCpuDuration().orElse(Duration.ZERO);
  }

  /** Rows of the queue's tables that are dead and not yet vacuumed, and the tables' sizes. */
  List<String> deadRows() {
    String sql =
        """
        SELECT format('%s: %s dead rows, %s', relname, n_dead_tup, pg_size_pretty(pg_total_relation_size(relid)))
        FROM pg_stat_user_tables
        WHERE schemaname = 'trunkline' AND relname IN ('message', 'ready', 'lease', 'tally')
        ORDER BY relname
        """;
    return query(sql, row -> row.getString(1));
  }

  @Override
  public void close() {
    pool.close();
    if (embedded != null) {
      embedded.close();
    }
  }
}
