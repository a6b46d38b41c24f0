package dev.trunkline.internal.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The driver prepares a statement on the server at its fifth execution, and describes it at the
 * sixth if it does not know a parameter's type: what holds at the first execution need not hold
 * later.
 */
@PostgresTest
class SessionTest {
  private static final int EXECUTIONS = 10;

  private static final String SETTINGS =
      """
      current_setting('synchronous_commit') || ' '
        || current_setting('enable_seqscan') || ' '
        || current_setting('enable_bitmapscan') || ' '
        || current_setting('plan_cache_mode') || ' '
        || current_setting('jit')
      """;

  private TestDatabase database;

  /** A parameter of each kind that statements bind, and the type it is cast to in them. */
  static Stream<Arguments> parameters() {
    return Stream.of(
        kind("int", "integer", rows -> rows.bind("value", 7)),
        kind("long", "bigint", rows -> rows.bind("value", 7L)),
        kind("boolean", "boolean", rows -> rows.bind("value", true)),
        kind("double", "double precision", rows -> rows.bind("value", 0.5)),
        kind("String", "text", rows -> rows.bind("value", "a")),
        kind("long[]", "bigint[]", rows -> rows.bindArray("value", new long[] {1, 2})),
        kind("int[]", "integer[]", rows -> rows.bindArray("value", new int[] {1, 2})),
        kind("short[]", "smallint[]", rows -> rows.bindArray("value", new short[] {1, 2})),
        kind("String[]", "text[]", rows -> rows.bindArray("value", withNull("a"))),
        kind("no String", "text[]", rows -> rows.bindArray("value", new String[0])),
        kind("byte[][]", "bytea[]", rows -> rows.bindArray("value", new byte[][] {{1}, {}})),
        kind(
            "Long[]",
            "bigint[]",
            rows -> rows.bindArray("value", new @Nullable Long[] {1L, null})));
  }

  private static Arguments kind(String name, String type, UnaryOperator<Session.Rows> binding) {
    return Arguments.of(name, type, binding);
  }

  private static @Nullable String[] withNull(String text) {
    return new @Nullable String[] {text, null};
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("parameters")
  void a_relaxed_statement_runs_under_its_settings_at_every_execution(
      String name, String type, UnaryOperator<Session.Rows> binding) {
    Database one = oneConnection("");
    String sql = "SELECT " + SETTINGS + ", :value::" + type + " IS NULL";

    for (int execution = 1; execution <= EXECUTIONS; execution++) {
      assertThat(alone(one, session -> texts(binding.apply(session.relaxed(sql)))))
          .as("execution " + execution)
          .containsExactly("off off off force_generic_plan off");
      assertThat(alone(one, session -> texts(session.statement("SELECT " + SETTINGS))))
          .as("after execution " + execution)
          .containsExactly("on on on auto on");
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("parameters")
  void a_durable_statement_waits_for_the_disk_at_every_execution_whatever_the_pool_says(
      String name, String type, UnaryOperator<Session.Rows> binding) {
    Database one = oneConnection("options=-c%20synchronous_commit=off%20-c%20jit=on");
    String sql = "SELECT current_setting('synchronous_commit'), :value::" + type + " IS NULL";

    for (int execution = 1; execution <= EXECUTIONS; execution++) {
      assertThat(alone(one, session -> texts(binding.apply(session.durable(sql)))))
          .as("execution " + execution)
          .containsExactly("on");
      assertThat(alone(one, session -> texts(session.statement("SHOW synchronous_commit"))))
          .as("after execution " + execution)
          .containsExactly("off");
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("parameters")
  void a_durable_pinned_statement_has_both_at_every_execution_whatever_the_pool_says(
      String name, String type, UnaryOperator<Session.Rows> binding) {
    Database one = oneConnection("options=-c%20synchronous_commit=off%20-c%20jit=on");
    String sql = "SELECT " + SETTINGS + ", :value::" + type + " IS NULL";

    for (int execution = 1; execution <= EXECUTIONS; execution++) {
      assertThat(alone(one, session -> texts(binding.apply(session.durablePinned(sql)))))
          .as("execution " + execution)
          .containsExactly("on off off force_generic_plan off");
      assertThat(alone(one, session -> texts(session.statement("SELECT " + SETTINGS))))
          .as("after execution " + execution)
          .containsExactly("off on on auto on");
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("parameters")
  void a_pinned_statement_leaves_the_settings_of_a_shared_transaction_as_they_were(
      String name, String type, UnaryOperator<Session.Rows> binding) throws SQLException {
    Database ours = oneConnection("");
    String sql = "SELECT " + SETTINGS + ", :value::" + type + " IS NULL";
    try (Connection caller = database.connect();
        Statement settings = caller.createStatement()) {
      settings.execute("SET synchronous_commit = remote_write; SET jit = on");
      caller.setAutoCommit(false);
      settings.execute("SET LOCAL enable_bitmapscan = off");

      for (int execution = 1; execution <= EXECUTIONS; execution++) {
        assertThat(on(ours, caller, session -> texts(binding.apply(session.pinned(sql)))))
            .as("execution " + execution)
            .containsExactly("remote_write off off force_generic_plan off");
        assertThat(on(ours, caller, session -> texts(session.statement("SELECT " + SETTINGS))))
            .as("after execution " + execution)
            .containsExactly("remote_write on off auto on");
      }
      caller.commit();
      assertThat(on(ours, caller, session -> texts(session.statement("SELECT " + SETTINGS))))
          .containsExactly("remote_write on on auto on");
      caller.rollback();
    }
  }

  @Test
  void a_durable_statement_does_not_make_a_stricter_setting_weaker() {
    Database one = oneConnection("options=-c%20synchronous_commit=remote_apply");

    assertThat(alone(one, session -> texts(session.durable("SHOW synchronous_commit"))))
        .containsExactly("remote_apply");
    assertThat(alone(one, session -> texts(session.durablePinned("SHOW synchronous_commit"))))
        .containsExactly("remote_apply");
  }

  @Test
  void in_a_transaction_of_ours_the_settings_last_until_its_end() {
    Database one = oneConnection("");

    for (int execution = 1; execution <= EXECUTIONS; execution++) {
      List<String> seen =
          one.inTransaction(
              session -> {
                List<String> all = new ArrayList<>(texts(session.relaxed("SELECT " + SETTINGS)));
                all.addAll(texts(session.statement("SELECT " + SETTINGS)));
                return all;
              });
      assertThat(seen)
          .containsExactly(
              "off off off force_generic_plan off", "off off off force_generic_plan off");
      assertThat(alone(one, session -> texts(session.statement("SELECT " + SETTINGS))))
          .containsExactly("on on on auto on");
    }
  }

  @Test
  void on_a_callers_connection_nothing_is_set() throws SQLException {
    Database ours = oneConnection("");
    try (Connection caller = database.connect();
        Statement settings = caller.createStatement()) {
      settings.execute("SET synchronous_commit = off; SET jit = on");
      caller.setAutoCommit(false);

      List<String> seen = ours.on(caller, session -> texts(session.durable("SELECT " + SETTINGS)));
      assertThat(seen).containsExactly("off on on auto on");
      assertThatThrownBy(() -> ours.on(caller, session -> session.relaxed("SELECT 1")))
          .isInstanceOf(IllegalStateException.class);
      assertThat(caller.isClosed()).isFalse();
      caller.rollback();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "prepareThreshold=1",
        "prepareThreshold=0",
        "stringtype=unspecified",
        "autosave=always",
        "binaryTransfer=false",
        "defaultRowFetchSize=2",
        "preferQueryMode=simple",
        "preferQueryMode=extendedForPrepared",
        "preferQueryMode=extendedCacheEverything"
      })
  void settings_hold_whatever_the_drivers_own_are(String parameter) {
    Database one = oneConnection(parameter);
    String sql =
        "SELECT " + SETTINGS + " FROM generate_series(1, 5), (SELECT :texts::text[]) AS parameter";

    for (int execution = 1; execution <= EXECUTIONS; execution++) {
      assertThat(
              alone(one, session -> texts(session.relaxed(sql).bindArray("texts", withNull("a")))))
          .as("execution " + execution)
          .hasSize(5)
          .containsOnly("off off off force_generic_plan off");
      assertThat(
              together(
                  one, session -> texts(session.relaxed(sql).bindArray("texts", withNull("a")))))
          .as("execution %d in a transaction", execution)
          .hasSize(5)
          .containsOnly("off off off force_generic_plan off");
    }
  }

  private Database oneConnection(String urlParameter) {
    String url = database.url();
    String separator = url.contains("?") ? "&" : "?";
    HikariDataSource pool =
        database.pool(
            config -> {
              config.setJdbcUrl(urlParameter.isEmpty() ? url : url + separator + urlParameter);
              config.setMaximumPoolSize(1);
              // Nothing depends on what the server's own defaults are.
              if (!urlParameter.contains("options")) {
                config.setConnectionInitSql("SET jit = on; SET synchronous_commit = on");
              }
            });
    Database made = new Database(pool);
    made.inspect();
    return made;
  }

  private static List<String> alone(Database database, Work<List<String>> work) {
    return database.run(work);
  }

  private static List<String> on(
      Database database, Connection connection, Work<List<String>> work) {
    return database.on(connection, work);
  }

  private static List<String> together(Database database, Work<List<String>> work) {
    return database.inTransaction(work);
  }

  private static List<String> texts(Session.Rows rows) {
    return rows.list(SessionTest::firstColumn);
  }

  private static String firstColumn(ResultSet row) throws SQLException {
    return String.valueOf(row.getString(1));
  }
}
