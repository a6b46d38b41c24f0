package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import dev.trunkline.topic.TopicRecord;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Topics on pools that do not have the driver's defaults. */
@PostgresTest
class TopicPoolsTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  private TestDatabase database;

  @ParameterizedTest
  @CsvSource({
    "true, TRANSACTION_READ_COMMITTED, simple",
    "false, TRANSACTION_READ_COMMITTED, extended",
    "true, TRANSACTION_REPEATABLE_READ, extended",
    "false, TRANSACTION_REPEATABLE_READ, simple",
    "false, TRANSACTION_SERIALIZABLE, extendedCacheEverything",
    "true, TRANSACTION_SERIALIZABLE, extendedForPrepared"
  })
  void a_log_is_written_sequenced_and_read_on_a_pool_of_this_kind(
      boolean autoCommit, String isolation, String queryMode) throws SQLException {
    HikariDataSource pool =
        database.pool(
            config -> {
              config.setAutoCommit(autoCommit);
              config.setTransactionIsolation(isolation);
              config.setMaximumPoolSize(4);
              String url = config.getJdbcUrl();
              config.setJdbcUrl(
                  url + (url.contains("?") ? "&" : "?") + "preferQueryMode=" + queryMode);
            });
    try (Trunkline one = Trunkline.open(pool, OPENED);
        Trunkline two = Trunkline.open(pool, OPENED)) {
      Topic topic = one.topic("pooled", TopicConfig.defaults().withPartitions(1));
      Topic other = two.topic("pooled");
      CompletableFuture<Void> publishing =
          CompletableFuture.runAsync(
              () -> IntStream.range(0, 60).forEach(i -> other.publish(Message.text("m" + i))));
      // Often enough for the driver to have prepared the statements, and against each other.
      while (!publishing.isDone()) {
        topic.read(0, 0, 100);
        other.endOffsets();
      }
      publishing.join();
      topic.publishAll(IntStream.range(60, 500).mapToObj(i -> Message.text("m" + i)).toList());
      try (Connection connection = pool.getConnection()) {
        connection.setAutoCommit(false);
        topic.publish(connection, Message.text("m500").withHeader("a", "b"));
        connection.commit();
        connection.setAutoCommit(autoCommit);
      }

      List<TopicRecord> records = other.read(0, 0, 1_000);
      assertThat(records)
          .extracting(TopicRecord::offset)
          .isEqualTo(LongStream.rangeClosed(0, 500).boxed().toList());
      assertThat(records)
          .extracting(record -> record.message().text())
          .isEqualTo(IntStream.rangeClosed(0, 500).mapToObj(i -> "m" + i).toList());
      assertThat(topic.offsetsForTimes(Instant.EPOCH)).containsEntry(0, 0L);
      assertThat(topic.beginningOffsets()).containsEntry(0, 0L);
      topic.delete();
    }
  }
}
