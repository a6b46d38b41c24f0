package dev.trunkline.inbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.MessageId;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.jdbi.v3.core.Jdbi;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class InboxTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);
  private static final MessageId ID = new MessageId(7);
  private static final int RACES = 400;

  private static final String WAITING =
      """
      SELECT count(*)
      FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'
      """;

  private TestDatabase database;
  private Trunkline trunkline;
  private Inbox billing;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource(), OPENED);
    billing = trunkline.inbox("billing");
    database.execute(
        """
        TRUNCATE trunkline.inbox;
        DROP TABLE IF EXISTS effect;
        CREATE TABLE effect (message_id bigint, who text)
        """);
  }

  @AfterEach
  void close() {
    trunkline.close();
  }

  @Test
  void a_message_is_handled_for_the_first_time_once() throws SQLException {
    assertThat(committed(billing, ID)).isTrue();
    assertThat(committed(billing, ID)).isFalse();
    assertThat(committed(billing, new MessageId(8))).isTrue();
  }

  @Test
  void each_consumer_remembers_for_itself() throws SQLException {
    assertThat(committed(billing, ID)).isTrue();
    assertThat(committed(trunkline.inbox("shipping"), ID)).isTrue();
    assertThat(committed(trunkline.inbox("billing"), ID)).isFalse();
  }

  @Test
  void what_is_rolled_back_was_not_handled() throws SQLException {
    try (Connection connection = transaction()) {
      assertThat(billing.firstTime(connection, ID)).isTrue();
      assertThat(billing.firstTime(connection, ID)).as("twice in one transaction").isFalse();
      connection.rollback();
    }
    assertThat(committed(billing, ID)).isTrue();
  }

  @Test
  void the_second_of_two_at_once_waits_and_learns_what_became_of_the_first() throws Exception {
    for (boolean commits : List.of(false, true)) {
      MessageId id = new MessageId(commits ? 1 : 2);
      try (Connection first = transaction()) {
        assertThat(billing.firstTime(first, id)).isTrue();
        CompletableFuture<Boolean> second =
            CompletableFuture.supplyAsync(
                () -> {
                  try {
                    return committed(billing, id);
                  } catch (SQLException e) {
                    throw new IllegalStateException(e);
                  }
                });
        Awaits.until(() -> database.number(WAITING) == 1);
        if (commits) {
          first.commit();
        } else {
          first.rollback();
        }
        assertThat(second.get()).isEqualTo(!commits);
      }
    }
  }

  @Test
  void a_handle_and_a_key_of_another_kind_will_do() {
    Jdbi jdbi = Jdbi.create(database.dataSource());
    assertThat(jdbi.<Boolean, RuntimeException>inTransaction(h -> billing.firstTime(h, ID)))
        .isTrue();
    for (boolean first : new boolean[] {true, false}) {
      assertThat(
              jdbi.<Boolean, RuntimeException>inTransaction(
                  h -> billing.firstTime(h.getConnection(), "orders-3-17")))
          .isEqualTo(first);
    }
  }

  /** Tries to handle every message, as the test does at the same time. */
  static final class Rival {
    private Rival() {}

    public static void main(String[] arguments) throws Exception {
      try (Trunkline trunkline = Trunkline.open(arguments[0], arguments[1], arguments[2], OPENED)) {
        try (Connection connection =
            DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
          race(trunkline.inbox("billing"), connection, "rival");
        }
      }
      System.out.println("done");
    }
  }

  @Test
  void of_two_processes_that_handle_the_same_messages_each_message_is_handled_by_one()
      throws Exception {
    try (SecondJvm rival =
        SecondJvm.running(Rival.class)
            .arguments(database.url(), database.user(), database.password())
            .start()) {
      try (Connection connection = database.connect()) {
        try (Connection gate = transaction();
            Statement lock = gate.createStatement()) {
          lock.execute("LOCK TABLE effect IN ACCESS EXCLUSIVE MODE");
          Awaits.until(() -> database.number(WAITING) == 1);
          gate.commit();
        }
        race(billing, connection, "test");
      }
      rival.awaitLine("done");
    }
    assertThat(database.texts("SELECT DISTINCT who FROM effect")).hasSize(2);
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(RACES);
    assertThat(database.number("SELECT count(DISTINCT message_id) FROM effect")).isEqualTo(RACES);
  }

  /** Every fifth try of each is rolled back, and repeated. */
  private static void race(Inbox inbox, Connection connection, String who) throws SQLException {
    connection.setAutoCommit(false);
    int tries = 0;
    for (int id = 1; id <= RACES; ) {
      if (inbox.firstTime(connection, new MessageId(id))) {
        try (PreparedStatement insert =
            connection.prepareStatement("INSERT INTO effect VALUES (?, ?)")) {
          insert.setLong(1, id);
          insert.setString(2, who);
          insert.executeUpdate();
        }
      }
      if (++tries % 5 == 0) {
        connection.rollback();
      } else {
        connection.commit();
        id++;
      }
    }
  }

  @Test
  void what_is_over_is_forgotten_and_nothing_else() throws SQLException {
    Inbox brief = trunkline.inbox("brief", Duration.ofMillis(1));
    committed(brief, ID);
    committed(billing, ID);
    Awaits.until(
        () ->
            database.number(
                    "SELECT count(*) FROM trunkline.inbox WHERE forget_at < clock_timestamp()")
                == 1);

    assertThat(new InboxPruning(library()).prune()).isFalse();

    assertThat(database.texts("SELECT consumer FROM trunkline.inbox")).containsExactly("billing");
    assertThat(committed(brief, ID)).isTrue();
    assertThat(committed(billing, ID)).isFalse();
  }

  @Test
  void a_backlog_is_forgotten_in_rounds_of_bounded_steps_by_any_number_of_processes() {
    database.execute(
        """
        INSERT INTO trunkline.inbox (forget_at, consumer, key)
        SELECT clock_timestamp() - interval '1 hour' + n * interval '1 millisecond', 'old', n::text
        FROM generate_series(1, 60000) AS n
        """);
    InboxPruning one = new InboxPruning(library());

    assertThat(one.prune()).isTrue();
    assertThat(rows()).isEqualTo(10_000);
    Stream.of(one, new InboxPruning(library())).parallel().forEach(InboxPruning::prune);

    assertThat(rows()).isZero();
  }

  @Test
  void the_maintenance_forgets_by_itself() throws SQLException {
    committed(trunkline.inbox("brief", Duration.ofMillis(1)), ID);
    try (Trunkline another = Trunkline.open(database.dataSource(), OPENED)) {
      Awaits.until(() -> rows() == 0);
      assertThat(another.inbox("brief").consumer()).isEqualTo("brief");
    }
  }

  @Test
  void a_connection_in_auto_commit_mode_is_refused() throws SQLException {
    try (Connection connection = database.connect()) {
      assertThatThrownBy(() -> billing.firstTime(connection, ID))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("auto-commit");
    }
    assertThat(rows()).isZero();
  }

  @Test
  void what_is_out_of_range_is_refused_by_name_and_value() throws SQLException {
    assertThatThrownBy(() -> trunkline.inbox("no spaces"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("consumer")
        .hasMessageContaining("no spaces");
    assertThatThrownBy(() -> trunkline.inbox("billing", Duration.ZERO))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("retention")
        .hasMessageContaining("PT0S");
    assertThatThrownBy(() -> trunkline.inbox("billing", Duration.ofDays(3651)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("retention");
    try (Connection connection = transaction()) {
      for (String key : List.of("", "a\0b", "x".repeat(1001))) {
        assertThatThrownBy(() -> billing.firstTime(connection, key))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("key");
      }
      connection.rollback();
    }
  }

  private long rows() {
    return database.number("SELECT count(*) FROM trunkline.inbox");
  }

  private Database library() {
    return new Database(database.dataSource());
  }

  private boolean committed(Inbox inbox, MessageId id) throws SQLException {
    try (Connection connection = transaction()) {
      boolean first = inbox.firstTime(connection, id);
      connection.commit();
      return first;
    }
  }

  private Connection transaction() throws SQLException {
    Connection connection = database.connect();
    connection.setAutoCommit(false);
    return connection;
  }
}
