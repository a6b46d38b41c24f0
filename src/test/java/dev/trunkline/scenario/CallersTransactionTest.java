package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.NotifyMode;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

@PostgresTest
class CallersTransactionTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  private TestDatabase database;
  private Trunkline trunkline;
  private Queue queue;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource(), OPENED);
    queue = trunkline.queue("callers", QueueConfig.defaults().withMaxPayloadBytes(10));
    database.execute("CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY)");
    database.execute("TRUNCATE orders");
  }

  @AfterEach
  void close() {
    trunkline.close();
  }

  @Test
  void what_is_rolled_back_leaves_nothing_anywhere() throws SQLException {
    try (Connection caller = transaction()) {
      insertOrder(caller, 1);
      sendOfEachKind(caller);
      caller.rollback();
    }

    assertThat(rowsPerTable()).containsOnly("0");
    assertThat(database.number("SELECT count(*) FROM orders")).isZero();
  }

  @Test
  void what_is_committed_is_all_there() throws SQLException {
    try (Connection caller = transaction()) {
      insertOrder(caller, 1);
      sendOfEachKind(caller);
      assertThat(queue.receive(10)).isEmpty();
      caller.commit();
    }

    assertThat(queue.stats().sent()).isEqualTo(4);
    assertThat(queue.stats().scheduled()).isEqualTo(1);
    List<Delivery> deliveries = queue.receive(10);
    assertThat(deliveries).hasSize(3);
    queue.ackAll(deliveries);
  }

  @Test
  void a_rollback_to_a_savepoint_takes_back_what_was_sent_after_it_and_nothing_else()
      throws SQLException {
    try (Connection caller = transaction()) {
      queue.send(caller, Message.text("before"));
      Savepoint savepoint = caller.setSavepoint();
      sendOfEachKind(caller);
      caller.rollback(savepoint);
      queue.send(caller, Message.text("after"));
      caller.commit();
    }

    assertThat(queue.stats().sent()).isEqualTo(2);
    List<Delivery> deliveries = queue.receive(10);
    assertThat(deliveries)
        .extracting(delivery -> delivery.message().text())
        .containsExactly("before", "after");
    queue.ackAll(deliveries);
  }

  @Test
  void a_transaction_that_fails_afterwards_leaves_nothing() throws SQLException {
    insertOrderAlone(1);
    try (Connection caller = transaction()) {
      sendOfEachKind(caller);
      assertThatThrownBy(() -> insertOrder(caller, 1)).isInstanceOf(SQLException.class);
      assertThatThrownBy(() -> queue.send(caller, Message.text("failed")))
          .isInstanceOfSatisfying(
              DatabaseException.class, e -> assertThat(e.sqlState()).contains("25P02"));
      assertThat(caller.isClosed()).isFalse();
      caller.rollback();
    }

    assertThat(rowsPerTable()).containsOnly("0");
  }

  @Test
  void a_payload_that_is_too_large_leaves_the_transaction_usable() throws SQLException {
    try (Connection caller = transaction()) {
      insertOrder(caller, 1);
      assertThatThrownBy(() -> queue.send(caller, Message.text("more than ten")))
          .isInstanceOf(PayloadTooLargeException.class);
      queue.send(caller, Message.text("small"));
      caller.commit();
    }

    assertThat(database.number("SELECT count(*) FROM orders")).isEqualTo(1);
    queue.ackAll(queue.receive(10));
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void on_a_connection_in_auto_commit_a_message_is_committed_at_once() throws SQLException {
    try (Connection caller = database.connect()) {
      queue.send(caller, Message.text("at once"));
      assertThat(caller.getAutoCommit()).isTrue();
      queue.ackAll(queue.receive(10));
    }

    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void nothing_but_statements_is_done_to_the_callers_connection(boolean autoCommit)
      throws SQLException {
    TamperedDataSource recorded =
        new TamperedDataSource(database.unpooled(), TamperedDataSource.Notifications.ARRIVE);
    try (Connection caller = database.connect()) {
      caller.setAutoCommit(autoCommit);
      List<String> before = settings(caller);
      Connection recording = recorded.tampered(caller);

      sendOfEachKind(recording);
      assertThatThrownBy(() -> queue.send(recording, Message.text("more than ten")))
          .isInstanceOf(PayloadTooLargeException.class);

      assertThat(settings(caller)).isEqualTo(before);
      assertThat(caller.isClosed()).isFalse();
      assertThat(caller.getAutoCommit()).isEqualTo(autoCommit);
      if (!autoCommit) {
        caller.rollback();
      }
    }
    assertThat(Set.copyOf(recorded.calls()))
        .contains("prepareStatement")
        .doesNotContain("commit", "rollback", "close", "abort", "releaseSavepoint", "setSavepoint")
        .noneMatch(call -> call.startsWith("set"));
  }

  @ParameterizedTest
  @EnumSource(
      value = NotifyMode.class,
      names = {"ALL", "OFF"})
  void what_is_sent_early_and_committed_late_is_delivered_though_claims_have_passed_its_place(
      NotifyMode mode) throws SQLException {
    Set<String> here = ConcurrentHashMap.newKeySet();
    Set<String> elsewhere = ConcurrentHashMap.newKeySet();
    try (Trunkline sender = Trunkline.open(database.dataSource(), OPENED.withNotifyMode(mode));
        Trunkline other = Trunkline.open(database.dataSource(), OPENED.withNotifyMode(mode));
        Connection early = transaction();
        Connection earlyToo = transaction()) {
      Queue toHere = sender.queue("here", QueueConfig.defaults());
      Queue toElsewhere = sender.queue("elsewhere", QueueConfig.defaults());
      try (Consumer first = toHere.consume(delivery -> noted(delivery, here));
          Consumer second =
              other.queue("elsewhere").consume(delivery -> noted(delivery, elsewhere))) {
        toHere.send(early, Message.text("early"));
        toElsewhere.send(earlyToo, Message.text("early"));
        for (int i = 0; i < 100; i++) {
          toHere.send(Message.text("passing " + i));
        }
        toElsewhere.sendAll(Collections.nCopies(2_000, Message.text("passing")));
        Awaits.until(() -> here.size() == 100 && toElsewhere.stats().acked() == 2_000);
        // Until the hints have moved on, too.
        Awaits.await().pollDelay(Duration.ofMillis(700)).until(() -> true);
        assertThat(here).doesNotContain("early");

        early.commit();
        earlyToo.commit();

        Awaits.await()
            .atMost(Duration.ofSeconds(15))
            .until(() -> here.contains("early") && elsewhere.contains("early"));
        Awaits.until(() -> toHere.stats().inFlight() + toElsewhere.stats().inFlight() == 0);
      }
    }
  }

  private static Outcome noted(Delivery delivery, Set<String> texts) {
    texts.add(delivery.message().text());
    return Outcome.ack();
  }

  private void sendOfEachKind(Connection caller) {
    queue.send(caller, Message.text("one").withKey("key").withHeader("name", "value"));
    queue.sendAll(caller, List.of(Message.text("two"), Message.text("three").withPriority(9)));
    queue.send(caller, Message.text("later").withDelay(Duration.ofHours(1)));
  }

  private List<String> rowsPerTable() {
    List<String> counts = new ArrayList<>();
    for (String table : List.of("message", "ready", "scheduled", "lease", "dead_letter")) {
      counts.add(database.text("SELECT count(*) FROM trunkline." + table));
    }
    counts.add(database.text("SELECT coalesce(sum(sent + ready), 0) FROM trunkline.tally"));
    return counts;
  }

  private Connection transaction() throws SQLException {
    Connection connection = database.connect();
    connection.setAutoCommit(false);
    return connection;
  }

  private void insertOrderAlone(int id) throws SQLException {
    try (Connection connection = database.connect()) {
      insertOrder(connection, id);
    }
  }

  private static void insertOrder(Connection connection, int id) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute("INSERT INTO orders VALUES (" + id + ")");
    }
  }

  private static List<String> settings(Connection connection) throws SQLException {
    List<String> settings = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery(
                "SELECT name || '=' || setting FROM pg_settings ORDER BY name")) {
      while (rows.next()) {
        settings.add(rows.getString(1));
      }
    }
    return settings;
  }
}
