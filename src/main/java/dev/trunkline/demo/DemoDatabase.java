package dev.trunkline.demo;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Optional;
import java.util.Properties;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.Driver;

/**
 * The PostgreSQL of a run, embedded or existing, and one pool for the order service, the five
 * services and Trunkline. Thread-safe.
 */
final class DemoDatabase implements AutoCloseable {
  private static final int POOL_SIZE = 20;
  private static final Duration CONNECTION_TIMEOUT = Duration.ofSeconds(5);

  private final @Nullable DemoServer embedded;
  private final HikariDataSource pool;
  private final String description;
  private final String psql;
  private final boolean temporary;

  private DemoDatabase(
      @Nullable DemoServer embedded,
      HikariDataSource pool,
      String description,
      String psql,
      boolean temporary) {
    this.embedded = embedded;
    this.pool = pool;
    this.description = description;
    this.psql = psql;
    this.temporary = temporary;
  }

  /** Starts or finds the server, and connects once. */
  static DemoDatabase open(DemoOptions.Server options) {
    return options.url().isPresent()
        ? connected(options.url().get(), credentials(options), null, "existing server", false)
        : embedded(options);
  }

  DataSource dataSource() {
    return pool;
  }

  /** Which server it is, for people. */
  String description() {
    return description;
  }

  /** How to look into it. */
  String psql() {
    return psql;
  }

  /** Whether all is deleted with the run. */
  boolean isTemporary() {
    return temporary;
  }

  /** Runs this first when the virtual machine shuts down, by Ctrl-C for example. */
  void beforeShutdown(Runnable end) {
    if (embedded != null) {
      embedded.closeFirst(end::run);
    } else {
      Runtime.getRuntime().addShutdownHook(new Thread(end, "demo-shutdown"));
    }
  }

  @Override
  public void close() {
    pool.close();
    if (embedded != null) {
      embedded.close();
    }
  }

  private static DemoDatabase embedded(DemoOptions.Server options) {
    DemoServer server = start(options);
    try {
      String data =
          options
              .data()
              .map(directory -> "its data is kept in " + directory)
              .orElse("temporary (--data DIR keeps its data)");
      return connected(
          server.url(),
          new Properties(),
          server,
          "embedded, durable, " + data,
          options.data().isEmpty());
    } catch (RuntimeException e) {
      server.close();
      throw e;
    }
  }

  private static DemoServer start(DemoOptions.Server options) {
    try {
      return options.data().map(DemoServer::keptIn).orElseGet(DemoServer::temporary);
    } catch (UncheckedIOException | IllegalStateException e) {
      throw new CannotStartException(OneLine.of(e), e);
    }
  }

  private static Properties credentials(DemoOptions.Server options) {
    Properties credentials = new Properties();
    options.user().ifPresent(user -> credentials.setProperty("user", user));
    options.password().ifPresent(password -> credentials.setProperty("password", password));
    return credentials;
  }

  private static DemoDatabase connected(
      String url,
      Properties credentials,
      @Nullable DemoServer embedded,
      String kind,
      boolean temporary) {
    Properties address = Driver.parseURL(url, credentials);
    if (address == null) {
      throw new CannotStartException(
          "the URL must be like jdbc:postgresql://localhost:5432/shop", null);
    }
    String where =
        "%s:%s/%s"
            .formatted(
                address.getProperty("PGHOST"),
                address.getProperty("PGPORT"),
                address.getProperty("PGDBNAME"));
    String description = "PostgreSQL %s, %s".formatted(version(url, credentials, where), kind);
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url);
    config.setDataSourceProperties(credentials);
    config.addDataSourceProperty("ApplicationName", "trunkline-demo");
    config.setPoolName("demo");
    config.setMaximumPoolSize(POOL_SIZE);
    config.setConnectionTimeout(CONNECTION_TIMEOUT.toMillis());
    config.setInitializationFailTimeout(-1);
    return new DemoDatabase(
        embedded,
        new HikariDataSource(config),
        embedded == null ? description + " at " + where : description,
        psql(address),
        temporary);
  }

  /** A connection without a pool tells at once, and in the server's own words, what is wrong. */
  private static String version(String url, Properties credentials, String where) {
    try (Connection connection = DriverManager.getConnection(url, credentials);
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SHOW server_version")) {
      rows.next();
      return String.valueOf(rows.getString(1)).split(" ", 2)[0];
    } catch (SQLException e) {
      throw new CannotStartException(where + " does not answer: " + OneLine.of(e), e);
    }
  }

  private static String psql(Properties address) {
    String user =
        Optional.ofNullable(address.getProperty("user")).map(name -> " -U " + name).orElse("");
    return "psql -h %s -p %s%s %s"
        .formatted(
            address.getProperty("PGHOST"),
            address.getProperty("PGPORT"),
            user,
            address.getProperty("PGDBNAME"));
  }
}
