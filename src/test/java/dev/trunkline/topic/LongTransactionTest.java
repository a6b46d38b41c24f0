package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class LongTransactionTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);
  private static final TopicConfig ONE = TopicConfig.defaults().withPartitions(1);

  private TestDatabase database;
  private Trunkline trunkline;
  private Topic topic;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource(), OPENED);
    topic = trunkline.topic("long", ONE);
  }

  @AfterEach
  void close() {
    topic.delete();
    trunkline.close();
  }

  @Test
  void a_transaction_that_has_published_publishes_on_however_many_chunks_are_closed_meanwhile()
      throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      List<String> expected = new ArrayList<>();
      for (int chunk = 0; chunk < 6; chunk++) {
        for (int i = 0; i < 3; i++) {
          String text = "m%d.%d".formatted(chunk, i);
          topic.publish(connection, Message.text(text));
          expected.add(text);
        }
        expected.add("by SQL " + chunk);
        publishBySql(connection, "by SQL " + chunk);
        closeChunk(chunk);
      }
      connection.commit();
      assertThat(topic.read(0, 0, 100))
          .extracting(record -> record.message().text())
          .isEqualTo(expected);
    }
  }

  private static void publishBySql(Connection connection, String text) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("SELECT trunkline.publish('long', NULL, ?)")) {
      statement.setString(1, text);
      statement.execute();
    }
  }

  private void closeChunk(int chunk) {
    String id = database.text("SELECT id FROM trunkline.topic WHERE deleted_at IS NULL");
    database.execute("SELECT trunkline.add_chunk(%s)".formatted(id));
    database.execute("SELECT trunkline.close_chunk(%s, %d)".formatted(id, chunk));
  }
}
