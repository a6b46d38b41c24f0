package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class SequencerTest {
  private TestDatabase database;
  private Trunkline trunkline;
  private Database own;
  private Topic topic;
  private TopicRow row;
  private Sequencer sequencer;

  @BeforeEach
  void open() {
    trunkline =
        Trunkline.open(
            database.dataSource(),
            TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF).withUpkeep(false));
    topic = trunkline.topic("sequenced", TopicConfig.defaults().withPartitions(1));
    own = new Database(database.dataSource());
    row = own.run(session -> TopicStore.find(session, "sequenced")).orElseThrow();
    sequencer = new Sequencer(own, row);
  }

  @AfterEach
  void close() {
    topic.delete();
    trunkline.close();
  }

  private List<String> texts() {
    return topic.read(0, 0, Topic.MAX_READ).stream()
        .map(record -> record.message().text())
        .toList();
  }

  private void publish(String text) {
    topic.publish(Message.text(text));
  }

  @Test
  void two_steps_at_a_time_give_each_record_one_offset_and_the_second_says_that_it_was_busy()
      throws SQLException {
    publish("one");
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      List<SequenceStore.Found> first =
          own.on(connection, session -> SequenceStore.sequence(session, row.id(), 0));
      Sequencer.Step second = sequencer.step();

      assertThat(first.get(0).sequenced()).isEqualTo(1);
      assertThat(second.busy()).isTrue();
      assertThat(second.sequenced()).isZero();
      assertThat(second.bounds().ends()).containsExactly(0L);
      connection.rollback();
    }

    assertThat(sequencer.step().sequenced()).isEqualTo(1);
    assertThat(texts()).containsExactly("one");
  }

  @Test
  void a_step_at_another_isolation_fails_instead_of_giving_offsets_twice() throws SQLException {
    publish("one");
    try (Connection connection = database.connect()) {
      connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      connection.setAutoCommit(false);

      assertThatThrownBy(
              () -> own.on(connection, session -> SequenceStore.sequence(session, row.id(), 0)))
          .isInstanceOf(DatabaseException.class)
          .hasMessageContaining("ISOLATION LEVEL");
      connection.rollback();
    }

    assertThat(texts()).containsExactly("one");
  }

  @Test
  void steps_that_newer_ones_have_replaced_are_deleted_and_the_newest_stays() {
    for (int i = 0; i < 20; i++) {
      publish("m" + i);
      sequencer.step();
    }
    String newest = database.text("SELECT max(id) FROM trunkline.sequencing");

    own.run(session -> SequenceStore.prune(session, row.id(), 0));

    assertThat(database.texts("SELECT id FROM trunkline.sequencing")).containsExactly(newest);
    assertThat(texts()).hasSize(20);
  }

  @Test
  void a_statement_timeout_that_is_too_short_for_a_large_step_does_not_stop_the_log()
      throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      for (int i = 0; i < 10; i++) {
        topic.publishAll(
            connection, IntStream.range(0, 2_000).mapToObj(n -> Message.text("m" + n)).toList());
      }
      connection.commit();
    }
    try (HikariDataSource pool =
        database.pool(config -> config.setConnectionInitSql("SET statement_timeout = '20ms'"))) {
      Sequencer hurried = new Sequencer(new Database(pool), row);

      assertThat(hurried.step().sequenced()).isEqualTo(20_000);
    }
  }
}
