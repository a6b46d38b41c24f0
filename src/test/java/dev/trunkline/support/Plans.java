package dev.trunkline.support;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The plans of the stores' statements, as a session of the library makes and keeps them: prepared
 * once, generic, under the settings that the library puts before the statement. Not thread-safe.
 */
public final class Plans implements AutoCloseable {
  /** Not the second colon of a cast, nor the colon of a slice. */
  private static final Pattern PARAMETER = Pattern.compile("(?<!:):([A-Za-z]\\w*)");

  private static final Pattern BUFFERS =
      Pattern.compile("Buffers: shared(?: hit=(\\d+))?(?: read=(\\d+))?");

  private final Connection connection;
  private final Statement statement;
  private final Map<String, List<String>> prepared = new LinkedHashMap<>();
  private final Map<String, String> preludes = new HashMap<>();

  /** On this connection, which is closed with it. */
  public Plans(Connection connection) throws SQLException {
    this.connection = connection;
    this.statement = connection.createStatement();
    connection.setAutoCommit(false);
  }

  /** The text of a statement, by the name of its constant. */
  public static String sql(Class<?> store, String constant) {
    try {
      Field field = store.getDeclaredField(constant);
      field.setAccessible(true);
      return String.valueOf(field.get(null));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(store + " has no statement " + constant, e);
    }
  }

  /** Prepares a statement under a name; its plan is made when it is first asked for. */
  public void prepare(String name, String sql) throws SQLException {
    List<String> parameters = new ArrayList<>();
    Matcher matcher = PARAMETER.matcher(sql);
    StringBuilder numbered = new StringBuilder();
    while (matcher.find()) {
      if (!parameters.contains(matcher.group(1))) {
        parameters.add(matcher.group(1));
      }
      matcher.appendReplacement(numbered, "\\$" + (parameters.indexOf(matcher.group(1)) + 1));
    }
    matcher.appendTail(numbered);
    statement.execute("PREPARE " + name + " AS " + numbered);
    connection.commit();
    prepared.put(name, parameters);
  }

  /** The same, for a statement that does not run under the settings of RELAXED. */
  public void prepare(String name, String sql, String prelude) throws SQLException {
    prepare(name, sql);
    preludes.put(name, prelude);
  }

  /** The plan of a prepared statement, as text. */
  public String of(String name, Map<String, String> values) throws SQLException {
    return explained("EXPLAIN (COSTS OFF) ", name, values);
  }

  /** The plan of a prepared statement as it was when it was run; what it did is rolled back. */
  public String run(String name, Map<String, String> values) throws SQLException {
    return explained(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ", name, values);
  }

  /**
   * The most pages that any part of a prepared statement touches when it is run, those below it
   * included; what it did is rolled back.
   */
  public long buffers(String name, Map<String, String> values) throws SQLException {
    String plan =
        explained("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) ", name, values);
    Matcher touched = BUFFERS.matcher(plan);
    long most = 0;
    while (touched.find()) {
      most = Math.max(most, number(touched.group(1)) + number(touched.group(2)));
    }
    return most;
  }

  private String explained(String explain, String name, Map<String, String> values)
      throws SQLException {
    List<String> arguments = new ArrayList<>();
    for (String parameter : prepared.getOrDefault(name, List.of())) {
      String value = values.get(parameter);
      if (value == null) {
        throw new IllegalArgumentException(name + " needs a value for " + parameter);
      }
      arguments.add(value);
    }
    statement.execute(preludes.getOrDefault(name, prelude("RELAXED")));
    String call = arguments.isEmpty() ? name : name + "(" + String.join(", ", arguments) + ")";
    StringBuilder plan = new StringBuilder();
    try (ResultSet rows = statement.executeQuery(explain + "EXECUTE " + call)) {
      while (rows.next()) {
        plan.append(rows.getString(1)).append('\n');
      }
    }
    connection.rollback();
    return plan.toString();
  }

  /** What the library puts before its statements; not visible from here otherwise. */
  public static String prelude(String name) {
    try {
      Class<?> type = Class.forName("dev.trunkline.internal.db.Prelude");
      Method before = type.getDeclaredMethod("before", String.class);
      before.setAccessible(true);
      for (Object prelude : type.getEnumConstants()) {
        if (prelude.toString().equals(name)) {
          return String.valueOf(before.invoke(prelude, ""));
        }
      }
      throw new IllegalStateException("there is no prelude " + name);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static long number(@Nullable String digits) {
    return digits == null ? 0 : Long.parseLong(digits);
  }

  @Override
  public void close() throws SQLException {
    connection.close();
  }
}
