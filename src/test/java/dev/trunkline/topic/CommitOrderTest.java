package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class CommitOrderTest {
  private TestDatabase database;
  private Trunkline trunkline;
  private Topic topic;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource());
    topic = trunkline.topic("orders", TopicConfig.defaults().withPartitions(1));
  }

  @AfterEach
  void close() {
    topic.delete();
    trunkline.close();
  }

  private List<String> log() {
    return topic.read(0, 0, 100).stream().map(record -> record.message().text()).toList();
  }

  private Connection transaction() throws SQLException {
    Connection connection = database.connect();
    connection.setAutoCommit(false);
    return connection;
  }

  @Test
  void what_commits_late_comes_after_what_has_been_read_and_is_not_lost() throws SQLException {
    try (Connection slow = transaction()) {
      topic.publish(slow, Message.text("slow"));
      topic.publish(Message.text("fast"));
      assertThat(log()).containsExactly("fast");

      slow.commit();
    }

    assertThat(log()).containsExactly("fast", "slow");
    assertThat(topic.endOffsets()).isEqualTo(Map.of(0, 2L));
  }

  @Test
  void a_cause_comes_before_its_effect_also_when_the_effects_transaction_had_begun_first()
      throws SQLException {
    try (Connection early = transaction()) {
      early.createStatement().execute("SELECT pg_current_xact_id()");
      topic.publish(Message.text("cause"));
      topic.publish(early, Message.text("effect"));
      early.commit();
    }

    assertThat(log()).containsExactly("cause", "effect");
  }

  @Test
  void a_transaction_that_stays_open_holds_up_neither_publishers_nor_readers() throws SQLException {
    try (Connection open = transaction()) {
      topic.publish(open, Message.text("open"));
      for (int i = 0; i < 20; i++) {
        topic.publish(Message.text("" + i));
        assertThat(log()).hasSize(i + 1).last().isEqualTo("" + i);
      }
      open.commit();
    }

    assertThat(log()).hasSize(21).last().isEqualTo("open");
  }
}
