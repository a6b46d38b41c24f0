package dev.trunkline.support;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.postgresql.Driver;
import org.postgresql.PGProperty;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testcontainers.postgresql.PostgreSQLContainer;

/**
 * The PostgreSQL server of this test JVM, started when the first test asks for it.
 *
 * <p>In this order: the one that {@code TRUNKLINE_TEST_URL} names; a container, where a Docker
 * engine answers; the embedded one. {@code -Dtrunkline.test.postgres=14} to {@code 18} picks the
 * version of the latter two. The role must be a superuser or at least be allowed to create
 * databases.
 */
public final class TestPostgres {
  private static final Logger LOG = LoggerFactory.getLogger(TestPostgres.class);
  private static final String URL_VARIABLE = "TRUNKLINE_TEST_URL";
  private static final String VERSION_PROPERTY = "trunkline.test.postgres";
  private static final String MAX_CONNECTIONS = "300";
  private static final String MAX_PREPARED_TRANSACTIONS = "20";
  private static final Pattern URL = Pattern.compile("(jdbc:postgresql://[^/]*/)([^?]*)(\\?.*)?");

  private final String urlPrefix;
  private final String urlSuffix;
  private final String maintenanceDatabase;
  private final String user;
  private final String password;

  private TestPostgres(String url, String user, String password) {
    Matcher parts = URL.matcher(url);
    if (!parts.matches()) {
      throw new IllegalArgumentException(
          "%s must look like jdbc:postgresql://host:port/database?user=u&password=p"
              .formatted(URL_VARIABLE));
    }
    this.urlPrefix = parts.group(1);
    this.maintenanceDatabase = parts.group(2).isEmpty() ? "postgres" : parts.group(2);
    this.urlSuffix = parts.group(3) == null ? "" : withoutCredentials(parts.group(3));
    this.user = user;
    this.password = password;
  }

  /** The server, running. */
  public static TestPostgres server() {
    return Holder.SERVER;
  }

  /** The JDBC URL of a database on it; names neither user nor password. */
  public String url(String database) {
    return urlPrefix + database + urlSuffix;
  }

  public String user() {
    return user;
  }

  public String password() {
    return password;
  }

  /** The server's major version. */
  public int majorVersion() {
    try (Connection connection = connect(maintenanceDatabase)) {
      return connection.getMetaData().getDatabaseMajorVersion();
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A connection to the database that was there before: to create and drop others. */
  Connection connect() throws SQLException {
    return connect(maintenanceDatabase);
  }

  private Connection connect(String database) throws SQLException {
    return DriverManager.getConnection(url(database), user, password);
  }

  private static TestPostgres start() {
    String url = System.getenv(URL_VARIABLE);
    if (url != null && !url.isBlank()) {
      return logged("given by " + URL_VARIABLE, given(url.strip()));
    }
    if (DockerEngine.answers()) {
      return logged("in a container", container());
    }
    return logged("embedded", embedded());
  }

  private static TestPostgres given(String url) {
    Properties properties = Driver.parseURL(url, null);
    if (properties == null) {
      throw new IllegalArgumentException(URL_VARIABLE + " is not a JDBC URL of PostgreSQL");
    }
    return new TestPostgres(
        url,
        orElse(PGProperty.USER.getOrDefault(properties), System.getProperty("user.name")),
        orElse(PGProperty.PASSWORD.getOrDefault(properties), ""));
  }

  /** Stopped by Testcontainers when this JVM ends. */
  @SuppressWarnings("resource")
  private static TestPostgres container() {
    PostgreSQLContainer container =
        new PostgreSQLContainer("postgres:%d-alpine".formatted(wantedVersion()))
            .withCommand(
                "postgres",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=" + MAX_CONNECTIONS,
                "-c",
                "max_prepared_transactions=" + MAX_PREPARED_TRANSACTIONS);
    container.start();
    return new TestPostgres(
        container.getJdbcUrl(), container.getUsername(), container.getPassword());
  }

  /** Stopped by its own shutdown hook. */
  @SuppressWarnings("resource")
  private static TestPostgres embedded() {
    // Beside the unpacked binaries, where the next start looks for what a killed JVM left behind.
    Path parent = Path.of(System.getProperty("java.io.tmpdir"), "embedded-pg");
    try {
      EmbeddedPostgres postgres =
          EmbeddedPostgres.builder()
              .setDataDirectory(Files.createTempDirectory(Files.createDirectories(parent), "test-"))
              .setServerConfig("max_connections", MAX_CONNECTIONS)
              .setServerConfig("max_prepared_transactions", MAX_PREPARED_TRANSACTIONS)
              .setServerConfig("unix_socket_directories", "")
              .setPGStartupWait(Duration.ofSeconds(60))
              .start();
      TestPostgres server =
          new TestPostgres(postgres.getJdbcUrl("postgres", "postgres"), "postgres", "");
      if (server.majorVersion() != wantedVersion()) {
        throw new IllegalStateException(
            "the embedded PostgreSQL on the class path has version %d, not %d: %s is for Maven to see"
                .formatted(server.majorVersion(), wantedVersion(), VERSION_PROPERTY));
      }
      return server;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int wantedVersion() {
    String version = System.getProperty(VERSION_PROPERTY, "18");
    if (!version.matches("1[4-8]")) {
      throw new IllegalArgumentException(
          "%s must be 14, 15, 16, 17 or 18: %s".formatted(VERSION_PROPERTY, version));
    }
    return Integer.parseInt(version);
  }

  private static TestPostgres logged(String origin, TestPostgres server) {
    try (Connection connection = server.connect()) {
      LOG.info(
          "these tests use PostgreSQL {}, {}: {}",
          connection.getMetaData().getDatabaseProductVersion(),
          origin,
          server.url(server.maintenanceDatabase));
      return server;
    } catch (SQLException e) {
      throw new IllegalStateException(
          "the PostgreSQL %s does not answer: %s".formatted(origin, e.getMessage()), e);
    }
  }

  private static String withoutCredentials(String parameters) {
    String kept = parameters.substring(1).replaceAll("(^|&)(user|password)=[^&]*", "");
    return kept.isEmpty() ? "" : "?" + kept.replaceAll("^&", "");
  }

  private static String orElse(@Nullable String value, String other) {
    return value == null ? other : value;
  }

  private static final class Holder {
    private static final TestPostgres SERVER = start();
  }
}
