package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@PostgresTest
class LongTransactionTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);
  private static final TopicConfig ONE = TopicConfig.defaults().withPartitions(1);
  private static final int MANY = 40_000;
  private static final int A_MILLION = 1_000_000;

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
  void transactions_held_open_stall_nothing_and_their_records_arrive_when_they_commit()
      throws SQLException {
    try (Connection publishing = database.connect();
        Connection writing = database.connect();
        Connection looking = database.connect();
        Statement statement = writing.createStatement();
        Statement look = looking.createStatement()) {
      publishing.setAutoCommit(false);
      writing.setAutoCommit(false);
      looking.setAutoCommit(false);
      looking.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      statement.execute("SELECT pg_current_xact_id()");
      look.execute("SELECT pg_current_xact_id()");
      topic.publish(publishing, Message.text("held"));
      for (int i = 0; i < 100; i++) {
        topic.publish(Message.text("m" + i));
        assertThat(topic.endOffsets()).containsEntry(0, i + 1L);
      }

      publishing.commit();
      assertThat(topic.endOffsets()).containsEntry(0, 101L);
      topic.publish(writing, Message.text("written late"));
      topic.publish(Message.text("before it"));
      assertThat(topic.endOffsets()).containsEntry(0, 102L);
      writing.commit();
      List<TopicRecord> end = topic.read(0, 99, 10);
      assertThat(end)
          .extracting(record -> record.message().text())
          .containsExactly("m99", "held", "before it", "written late");
      looking.rollback();
    }
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

  /** Publishes all in one transaction, and reads them page by page, in little memory. */
  static final class OneTransaction {
    private OneTransaction() {}

    public static void main(String[] arguments) throws SQLException {
      int count = Integer.parseInt(arguments[3]);
      try (Trunkline trunkline = Trunkline.open(arguments[0], arguments[1], arguments[2], OPENED);
          Connection connection =
              DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
        Topic topic = trunkline.topic("long", ONE);
        connection.setAutoCommit(false);
        for (int from = 0; from < count; from += 10_000) {
          topic.publishAll(
              connection,
              IntStream.range(from, from + 10_000).mapToObj(i -> Message.text("m" + i)).toList());
        }
        connection.commit();
        long next = 0;
        for (List<TopicRecord> page = topic.read(0, 0, 5_000);
            !page.isEmpty();
            page = topic.read(0, next, 5_000)) {
          for (TopicRecord record : page) {
            if (record.offset() != next || !record.message().text().equals("m" + next)) {
              throw new IllegalStateException("at " + next + ": " + record);
            }
            next++;
          }
        }
        System.out.println("read " + next);
      }
    }
  }

  @Test
  void a_huge_transaction_is_cut_into_segments_and_read_page_by_page_in_little_memory() {
    publishAndReadInOneTransaction(MANY);
  }

  @Test
  @Tag("torture")
  void a_million_records_in_one_transaction_are_read_page_by_page_in_little_memory() {
    publishAndReadInOneTransaction(A_MILLION);
  }

  private void publishAndReadInOneTransaction(int count) {
    try (SecondJvm other =
        SecondJvm.running(OneTransaction.class)
            .arguments(database.url(), database.user(), database.password(), String.valueOf(count))
            .maxHeap("40m")
            .start()) {
      assertThat(other.awaitExit(Duration.ofSeconds(100))).isZero();
      other.awaitLine("read " + count);
    }
    assertThat(database.number("SELECT max(cardinality(ids)) FROM trunkline.segment"))
        .isBetween(150L, 200L);
    // Cut at 150 to 200 records, and where a mebibyte of payloads is full.
    long mebibytes = database.number("SELECT sum(bytes) >> 20 FROM trunkline.segment");
    assertThat(database.number("SELECT count(*) FROM trunkline.segment"))
        .isBetween(count / 200L, count / 150L + 1 + mebibytes);
  }
}
