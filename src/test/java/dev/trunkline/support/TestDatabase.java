package dev.trunkline.support;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Migrations;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * A database of a test class's own, with the schema in it: a copy of a template that is migrated
 * once per test JVM. Thread-safe.
 */
public final class TestDatabase implements AutoCloseable {
  private static final int POOL_SIZE = 16;

  /** Eight pages. */
  private static final int FEW_BYTES = 8 * 8192;

  private final String name;
  private final List<HikariDataSource> pools = new CopyOnWriteArrayList<>();
  private final AtomicReference<@Nullable Connection> spare = new AtomicReference<>();
  private @Nullable HikariDataSource pool;

  private TestDatabase(String name) {
    this.name = name;
  }

  /** A database with the schema of this version of the library. */
  public static TestDatabase migrated() {
    return created("TEMPLATE " + Template.NAME + Template.COPY);
  }

  /** A database with nothing in it. */
  public static TestDatabase empty() {
    return created("TEMPLATE template0");
  }

  /** A pool of 16 connections, made when first asked for. */
  public synchronized DataSource dataSource() {
    if (pool == null) {
      pool = pool(config -> {});
    }
    return pool;
  }

  /** Another pool, with its settings changed. Closed with this database, or before by the test. */
  public HikariDataSource pool(Consumer<HikariConfig> settings) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url());
    config.setUsername(user());
    config.setPassword(password());
    config.setMaximumPoolSize(POOL_SIZE);
    config.setMinimumIdle(0);
    config.setConnectionTimeout(Duration.ofSeconds(20).toMillis());
    config.setPoolName("test-" + name + "-" + pools.size());
    settings.accept(config);
    HikariDataSource made = new HikariDataSource(config);
    pools.add(made);
    return made;
  }

  /** Connections without a pool. */
  public DataSource unpooled() {
    PGSimpleDataSource plain = new PGSimpleDataSource();
    plain.setUrl(url());
    plain.setUser(user());
    plain.setPassword(password());
    return plain;
  }

  /**
   * A connection outside every pool, so that a test that looks does not disturb what it looks at.
   */
  public Connection connect() throws SQLException {
    return unpooled().getConnection();
  }

  public String name() {
    return name;
  }

  public String url() {
    return TestPostgres.server().url(name);
  }

  public String user() {
    return TestPostgres.server().user();
  }

  public String password() {
    return TestPostgres.server().password();
  }

  /** Runs a statement, or several without parameters; returns the count of rows it changed. */
  public int execute(String sql, @Nullable Object... parameters) {
    return onSpare(
        connection -> {
          if (parameters.length == 0) {
            try (Statement statement = connection.createStatement()) {
              statement.execute(sql);
              return statement.getUpdateCount();
            }
          }
          try (PreparedStatement statement = prepared(connection, sql, parameters)) {
            statement.execute();
            return statement.getUpdateCount();
          }
        },
        sql);
  }

  /** The rows of a query, each as the list of its columns. */
  public List<List<@Nullable Object>> rows(String sql, @Nullable Object... parameters) {
    return onSpare(
        connection -> {
          try (PreparedStatement statement = prepared(connection, sql, parameters);
              ResultSet found = statement.executeQuery()) {
            int columns = found.getMetaData().getColumnCount();
            List<List<@Nullable Object>> rows = new ArrayList<>();
            while (found.next()) {
              List<@Nullable Object> row = new ArrayList<>();
              for (int column = 1; column <= columns; column++) {
                row.add(found.getObject(column));
              }
              rows.add(row);
            }
            return rows;
          }
        },
        sql);
  }

  /** The first column of every row, as text. */
  public List<@Nullable String> texts(String sql, @Nullable Object... parameters) {
    List<@Nullable String> texts = new ArrayList<>();
    for (List<@Nullable Object> row : rows(sql, parameters)) {
      Object value = row.get(0);
      texts.add(value == null ? null : value.toString());
    }
    return texts;
  }

  /** The only column of the only row, as text. */
  public @Nullable String text(String sql, @Nullable Object... parameters) {
    List<@Nullable String> texts = texts(sql, parameters);
    if (texts.size() != 1) {
      throw new IllegalStateException("one row expected, not " + texts.size() + "\n" + sql);
    }
    return texts.get(0);
  }

  /** The only column of the only row, as a whole number. */
  public long number(String sql, @Nullable Object... parameters) {
    String text = text(sql, parameters);
    if (text == null) {
      throw new IllegalStateException("a number expected, not null\n" + sql);
    }
    return Long.parseLong(text);
  }

  /**
   * Empties every table of the schema but those that describe the schema itself, and gives each new
   * files: for a test that looks at plans or pages. Those that never had a row are left alone.
   */
  public void truncateAll() {
    emptyAll(0);
  }

  /**
   * Empties them as fast as it can be done: by deleting, where there are few pages. New files for
   * all tables, and what every connection has to learn anew of them, take longer than most tests.
   */
  void deleteAll() {
    emptyAll(FEW_BYTES);
  }

  private void emptyAll(int fewBytes) {
    execute(
        """
        DO $$
        DECLARE
          truncated text;
          deleted text;
        BEGIN
          SELECT
            string_agg(name, ', ') FILTER (WHERE bytes > %1$d),
            string_agg('DELETE FROM ' || name, '; ') FILTER (WHERE bytes <= %1$d)
          INTO truncated, deleted
          FROM (
            SELECT oid::regclass::text AS name, pg_relation_size(oid) AS bytes
            FROM pg_class
            WHERE relnamespace = 'trunkline'::regnamespace
              AND relkind = 'r'
              AND relname NOT LIKE 'schema\\_%%') x
          WHERE bytes > 0;
          IF truncated IS NOT NULL THEN
            EXECUTE 'TRUNCATE ' || truncated || ' CASCADE';
          END IF;
          IF deleted IS NOT NULL THEN
            EXECUTE deleted;
          END IF;
        END
        $$
        """
            .formatted(fewBytes));
  }

  /** The pools that are open, for the check that nobody kept a connection. */
  List<HikariDataSource> openPools() {
    return pools.stream().filter(pool -> !pool.isClosed()).toList();
  }

  /** Closes the pools and drops the database. */
  @Override
  public void close() {
    pools.forEach(HikariDataSource::close);
    closeQuietly(spare.getAndSet(null));
    onServer("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
  }

  /** What is done with a connection. */
  interface Look<T> {
    T at(Connection connection) throws SQLException;
  }

  /**
   * As with {@link #connect}, but connected once: a new connection takes longer than most looks.
   *
   * @param what is told when it fails
   */
  <T> T onSpare(Look<T> look, String what) {
    Connection connection = spare.getAndSet(null);
    try {
      if (connection == null || !connection.isValid(5)) {
        connection = connect();
        // The tables change beneath it.
        connection.unwrap(PGConnection.class).setPrepareThreshold(0);
      }
      T seen = look.at(connection);
      connection = spare.getAndSet(connection);
      return seen;
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage() + "\n" + what, e);
    } finally {
      closeQuietly(connection);
    }
  }

  private static void closeQuietly(@Nullable Connection connection) {
    if (connection != null) {
      try {
        connection.close();
      } catch (SQLException e) {
        // It was broken, and is of no more use.
      }
    }
  }

  private static TestDatabase created(String template) {
    TestDatabase database =
        new TestDatabase("trunkline_test_" + UUID.randomUUID().toString().replace("-", ""));
    onServer("CREATE DATABASE " + database.name + " " + template);
    return database;
  }

  private static PreparedStatement prepared(
      Connection connection, String sql, @Nullable Object... parameters) throws SQLException {
    PreparedStatement statement = connection.prepareStatement(sql);
    for (int i = 0; i < parameters.length; i++) {
      statement.setObject(i + 1, parameters[i]);
    }
    return statement;
  }

  private static void onServer(String sql) {
    try (Connection connection = TestPostgres.server().connect();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage() + "\n" + sql, e);
    }
  }

  /** The one place where the tests call the library's own migration. */
  private static void migrate(DataSource dataSource) {
    new Migrations(new Database(dataSource)).migrate();
  }

  private static final class Template {
    private static final String NAME = make();

    /**
     * File by file takes half as long as block by block through the log, which is the default from
     * the version on that has both.
     */
    private static final String COPY =
        TestPostgres.server().majorVersion() < 15 ? "" : " STRATEGY file_copy";

    private static String make() {
      TestDatabase template = empty();
      migrate(template.unpooled());
      // Never closed: on a server that outlives this JVM it would stay behind.
      Runtime.getRuntime().addShutdownHook(new Thread(template::dropQuietly, "template-drop"));
      return template.name;
    }
  }

  private void dropQuietly() {
    try {
      close();
    } catch (IllegalStateException e) {
      // The server is on its way out too, and takes the database along.
    }
  }
}
