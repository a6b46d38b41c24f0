package dev.trunkline.internal.db;

import dev.trunkline.error.DatabaseException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * A connection in use by one call: the stores' way to run statements. Not thread-safe; lives only
 * as long as the work it was given to.
 */
public final class Session {
  /** Statements with their prelude in front, joined once. */
  private static final ConcurrentMap<String, String> RELAXED = new ConcurrentHashMap<>();

  private static final ConcurrentMap<String, String> DURABLE = new ConcurrentHashMap<>();

  private static final ConcurrentMap<String, String> REPLANNED = new ConcurrentHashMap<>();

  private static final ConcurrentMap<String, String> DURABLE_PINNED = new ConcurrentHashMap<>();

  private static final ConcurrentMap<String, String> PINNED = new ConcurrentHashMap<>();

  private static final ConcurrentMap<List<String>, String> PAIRS = new ConcurrentHashMap<>();

  private final Connection connection;
  private final boolean ours;

  Session(Connection connection, boolean ours) {
    this.connection = connection;
    this.ours = ours;
  }

  /** A statement as it stands. */
  public Rows statement(String sql) {
    return new Rows(connection, sql, 0);
  }

  /**
   * A statement whose loss in a crash only means a redelivery, with its plan pinned. Never on a
   * caller's connection.
   */
  public Rows relaxed(String sql) {
    if (!ours) {
      throw new IllegalStateException("a caller's connection keeps its own settings");
    }
    return new Rows(connection, RELAXED.computeIfAbsent(sql, Prelude.RELAXED::before), 1);
  }

  /** Like {@link #relaxed}, for one of many texts that differ in the name of a table. */
  public Rows relaxedOnce(String sql) {
    if (!ours) {
      throw new IllegalStateException("a caller's connection keeps its own settings");
    }
    return new Rows(connection, Prelude.RELAXED.before(sql), 1);
  }

  /** A read of a partitioned table, planned for its values. Never on a caller's connection. */
  public Rows replanned(String sql) {
    if (!ours) {
      throw new IllegalStateException("a caller's connection keeps its own settings");
    }
    return new Rows(connection, REPLANNED.computeIfAbsent(sql, Prelude.REPLANNED::before), 1);
  }

  /**
   * A text of two statements, for one round trip and, on a connection of ours, one transaction;
   * answers the rows of the second. The second sees what was committed before the first returned.
   */
  public Rows second(String sql) {
    return new Rows(connection, sql, 1);
  }

  /** The same for a text of three statements; answers the rows of the third. */
  public Rows third(String sql) {
    return new Rows(connection, sql, 2);
  }

  /** Like {@link #second}, with what {@link #relaxed} sets. Never on a caller's connection. */
  public Rows relaxedSecond(String sql) {
    if (!ours) {
      throw new IllegalStateException("a caller's connection keeps its own settings");
    }
    return new Rows(connection, RELAXED.computeIfAbsent(sql, Prelude.RELAXED::before), 2);
  }

  /**
   * A statement that is on disk when it returns; on a caller's connection the caller's settings
   * decide.
   */
  public Rows durable(String sql) {
    return ours
        ? new Rows(connection, DURABLE.computeIfAbsent(sql, Prelude.DURABLE::before), 1)
        : statement(sql);
  }

  /**
   * Two statements in one text, and in one transaction, with their plans pinned; answers the rows
   * of the second, which sees what was committed before the first returned. On disk when it
   * returns; on a caller's connection the caller's settings decide.
   *
   * @throws IllegalStateException if the caller's connection would make two transactions of it
   */
  public Rows pinnedPair(String first, String second) {
    String pair = PAIRS.computeIfAbsent(List.of(first, second), both -> String.join(";\n", both));
    if (ours) {
      return new Rows(
          connection, DURABLE_PINNED.computeIfAbsent(pair, Prelude.DURABLE_PINNED::before), 2);
    }
    if (Database.commitsEachStatement(connection)) {
      throw new IllegalStateException(
          "the connection is in auto-commit mode, and preferQueryMode=simple sends one statement at"
              + " a time: two would not be one transaction");
    }
    return new Rows(connection, PINNED.computeIfAbsent(pair, Prelude::pinned), 2);
  }

  /** A statement that is on disk when it returns, with its plan pinned. On ours only. */
  public Rows durablePinned(String sql) {
    if (!ours) {
      throw new IllegalStateException("a caller's connection keeps its own settings");
    }
    return new Rows(
        connection, DURABLE_PINNED.computeIfAbsent(sql, Prelude.DURABLE_PINNED::before), 1);
  }

  /**
   * A statement with its plan pinned in a transaction that others share: their settings are as they
   * were when it is done.
   */
  public Rows pinned(String sql) {
    return new Rows(connection, PINNED.computeIfAbsent(sql, Prelude::pinned), 1);
  }

  /**
   * A statement with its plan pinned that is on disk when it returns; on a caller's connection the
   * caller's settings decide about that.
   */
  public Rows lasting(String sql) {
    return ours ? durablePinned(sql) : pinned(sql);
  }

  /**
   * The connection for a handler, as part of a transaction of ours; to be ended when it returns.
   */
  public HandlersConnection forHandler() {
    if (!ours) {
      throw new IllegalStateException("a caller's connection is the caller's");
    }
    return new HandlersConnection(connection);
  }

  /** Maps the current row of a result. */
  @FunctionalInterface
  public interface RowMapper<T> {
    /** Reads the row's columns, without moving to another row. */
    T map(ResultSet row) throws SQLException;
  }

  /**
   * A statement that is being bound, and then run once.
   *
   * <p>Every parameter has a type that the driver knows by itself, and none is null: for a
   * parameter of unknown type the driver would, once it has prepared the statement, end the
   * transaction after the prelude, so that its settings would be gone before the statement runs.
   * Optional values are passed as -1 and turned into null by {@code nullif}.
   */
  public static final class Rows {
    private final Connection connection;
    private final NamedSql statement;
    private final int statementsBefore;
    private final Map<String, Object> values = new HashMap<>();

    Rows(Connection connection, String sql, int statementsBefore) {
      this.connection = connection;
      this.statement = NamedSql.of(sql, connection);
      this.statementsBefore = statementsBefore;
    }

    /** Binds an integer. */
    public Rows bind(String name, int value) {
      values.put(name, value);
      return this;
    }

    /** Binds a bigint. */
    public Rows bind(String name, long value) {
      values.put(name, value);
      return this;
    }

    /** Binds a boolean. */
    public Rows bind(String name, boolean value) {
      values.put(name, value);
      return this;
    }

    /** Binds a double precision. */
    public Rows bind(String name, double value) {
      values.put(name, value);
      return this;
    }

    /** Binds a text. */
    public Rows bind(String name, String value) {
      values.put(name, value);
      return this;
    }

    /** Binds an array: long[], int[], short[], String[] or byte[][]. */
    public Rows bindArray(String name, Object array) {
      values.put(name, array);
      return this;
    }

    /**
     * Runs the statement and reads all its rows.
     *
     * @throws DatabaseException if it fails
     */
    public <T> List<T> list(RowMapper<T> mapper) {
      try (PreparedStatement running = connection.prepareStatement(statement.sql())) {
        execute(running);
        List<T> rows = new ArrayList<>();
        try (ResultSet result = result(running)) {
          while (result.next()) {
            rows.add(mapper.map(result));
          }
        }
        return rows;
      } catch (SQLException e) {
        throw Database.translated(e);
      }
    }

    /**
     * Runs a statement that answers nothing, or whose answer does not matter.
     *
     * @throws DatabaseException if it fails
     */
    public void run() {
      try (PreparedStatement running = connection.prepareStatement(statement.sql())) {
        execute(running);
      } catch (SQLException e) {
        throw Database.translated(e);
      }
    }

    private void execute(PreparedStatement running) throws SQLException {
      int position = 1;
      for (String name : statement.names()) {
        Object value = values.get(name);
        if (value == null) {
          throw new IllegalStateException("parameter \"" + name + "\" was not bound");
        }
        running.setObject(position++, value);
      }
      running.execute();
    }

    private ResultSet result(PreparedStatement running) throws SQLException {
      for (int before = 0; before < statementsBefore; before++) {
        running.getMoreResults();
      }
      return running.getResultSet();
    }
  }
}
