package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.message.Message;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class TransactionalTest extends GroupsFixture {

  @BeforeEach
  void make_a_table_of_the_handlers() {
    database.execute(
        """
        DROP TABLE IF EXISTS effect;
        CREATE TABLE effect (text text, once text UNIQUE DEFERRABLE INITIALLY DEFERRED)
        """);
  }

  @Test
  void the_effect_and_the_offset_are_committed_together() {
    publish(100);
    try (Subscription subscription =
        topic.subscribeTransactionally("billing", CONFIG, TransactionalTest::effect)) {
      Awaits.until(() -> committed("billing") == 100);
      assertThat(database.number("SELECT count(DISTINCT text) FROM effect")).isEqualTo(100);
      assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(100);
      assertThat(subscription.failure()).isEmpty();
    }
    // At any moment there were as many effects as the offsets say: each has its own transaction.
    assertThat(
            database.number(
                "SELECT count(*) FROM trunkline.group_commit c JOIN effect e ON e.xmin = c.xmin"))
        .isEqualTo(100);
  }

  @Test
  void a_failure_undoes_the_effect_counts_and_the_record_comes_again() {
    publish(1);
    AtomicInteger attempts = new AtomicInteger();
    try (Subscription subscription =
        topic.subscribeTransactionally(
            "billing",
            CONFIG,
            (record, connection) -> {
              effect(record, connection);
              if (attempts.incrementAndGet() < 4) {
                assertThat(database.number("SELECT count(*) FROM effect")).isZero();
                throw new IllegalStateException("not yet");
              }
            })) {
      Awaits.until(() -> committed("billing") == 1);
      assertThat(database.number("SELECT max(failures) FROM trunkline.group_failure")).isEqualTo(3);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(1);
  }

  @Test
  void what_cannot_be_committed_is_a_failure_of_the_handler_and_is_given_up_at_the_limit() {
    publish(20);
    try (Subscription subscription =
        topic.subscribeTransactionally(
            "billing",
            CONFIG
                .withFailurePolicy(FailurePolicy.SKIP)
                .withRetryPolicy(AT_ONCE.withMaxDeliveries(2)),
            (record, connection) -> {
              effect(record, connection);
              if (text(record).equals("7")) {
                // Refused at the commit only: the constraint is deferred.
                execute(connection, "INSERT INTO effect VALUES ('7', 'a'), ('7', 'a')");
              }
              if (text(record).equals("8")) {
                try {
                  execute(connection, "SELECT nonsense");
                } catch (SQLException e) {
                  // Hidden from the library; the transaction is broken all the same.
                  return;
                }
              }
            })) {
      Awaits.until(() -> committed("billing") == 20);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(18);
    assertThat(topic.group("billing").deadLetters().browse(10))
        .extracting(letter -> text(letter.record()))
        .containsExactlyInAnyOrder("7", "8");
    assertThat(topic.group("billing").deadLetters().browse(10))
        .allMatch(letter -> letter.attempts() == 2);
  }

  @Test
  void a_replayed_record_has_its_effect_once() {
    publish(1);
    AtomicInteger attempts = new AtomicInteger();
    try (Subscription subscription =
        topic.subscribeTransactionally(
            "billing",
            CONFIG
                .withFailurePolicy(FailurePolicy.SKIP)
                .withRetryPolicy(AT_ONCE.withMaxDeliveries(1)),
            (record, connection) -> {
              effect(record, connection);
              if (attempts.incrementAndGet() == 1) {
                throw new IllegalStateException("not yet");
              }
            })) {
      Awaits.until(() -> topic.group("billing").deadLetters().browse(10).size() == 1);
      assertThat(database.number("SELECT count(*) FROM effect")).isZero();
      topic.group("billing").deadLetters().replayAll();
      Awaits.until(() -> database.number("SELECT count(*) FROM effect") == 1);
      assertThat(database.number("SELECT count(*) FROM trunkline.group_redelivery")).isZero();
      assertThat(subscription.failure()).isEmpty();
    }
  }

  @Test
  void a_handler_that_lost_its_partition_leaves_no_effect() throws Exception {
    publish(1);
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    AtomicInteger calls = new AtomicInteger();
    try (Subscription subscription =
        topic.subscribeTransactionally(
            "billing",
            CONFIG,
            (record, connection) -> {
              effect(record, connection);
              if (calls.incrementAndGet() == 1) {
                begun.countDown();
                goOn.await();
              }
            })) {
      begun.await();
      // As another process does when it finds it silent.
      database.execute(
          """
          UPDATE trunkline.group_partition SET member_id = NULL, wanted_by = NULL, epoch = epoch + 1;
          DELETE FROM trunkline.group_member
          """);
      goOn.countDown();
      Awaits.until(() -> committed("billing") == 1);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(calls).hasValue(2);
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(1);
  }

  @Test
  void a_lent_connection_cannot_end_the_transaction_and_is_of_no_use_afterwards() {
    publish(1);
    List<Connection> lent = Collections.synchronizedList(new ArrayList<>());
    List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
    try (Subscription subscription =
        topic.subscribeTransactionally(
            "billing",
            CONFIG,
            (record, connection) -> {
              lent.add(connection);
              try {
                for (AssertedCall call :
                    List.<AssertedCall>of(
                        Connection::commit, Connection::rollback, c -> c.setAutoCommit(true))) {
                  assertThatThrownBy(() -> call.on(connection)).isInstanceOf(SQLException.class);
                }
                Savepoint savepoint = connection.setSavepoint();
                effect(record, connection);
                connection.rollback(savepoint);
                effect(record, connection);
              } catch (Throwable e) {
                failures.add(e);
              }
            })) {
      Awaits.until(() -> committed("billing") == 1);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(failures).isEmpty();
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(1);
    assertThatThrownBy(() -> lent.get(0).createStatement()).isInstanceOf(SQLException.class);
  }

  @Test
  void when_connections_are_cut_at_any_moment_each_effect_is_there_once() throws Exception {
    publish(300);
    Thread cutter =
        new Thread(
            () -> {
              for (int i = 0; i < 40; i++) {
                database.execute(
                    """
                    SELECT pg_terminate_backend(pid)
                    FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
                    """);
              }
            });
    try (Subscription subscription =
        topic.subscribeTransactionally("billing", CONFIG, TransactionalTest::effect)) {
      Awaits.until(() -> committed("billing") > 10);
      cutter.start();
      cutter.join();
      Awaits.await()
          .atMost(java.time.Duration.ofSeconds(60))
          .until(() -> committed("billing") == 300);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(database.number("SELECT count(DISTINCT text) FROM effect")).isEqualTo(300);
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(300);
  }

  @Test
  void a_handler_publishes_in_the_transaction_of_its_record() {
    Topic out = trunkline.topic("invoices", TopicConfig.defaults());
    publish(10);
    AtomicInteger attempts = new AtomicInteger();
    try (Subscription subscription =
        topic.subscribeTransactionally(
            "billing",
            CONFIG,
            (record, connection) -> {
              out.publish(connection, Message.text("invoice " + text(record)));
              if (attempts.incrementAndGet() % 3 == 0) {
                throw new IllegalStateException("now and then");
              }
            })) {
      Awaits.until(() -> committed("billing") == 10);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(out.endOffsets().values().stream().mapToLong(Long::longValue).sum()).isEqualTo(10);
  }

  /** A call that is to be refused. */
  @FunctionalInterface
  private interface AssertedCall {
    void on(Connection connection) throws SQLException;
  }

  private static void effect(TopicRecord record, Connection connection) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("INSERT INTO effect (text) VALUES (?)")) {
      statement.setString(1, text(record));
      statement.executeUpdate();
    }
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.execute();
    }
  }
}
