package dev.trunkline.topic;

import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * A Trunkline, and an upkeep of the test's own, round by round; time passes when a test says so.
 */
@PostgresTest
abstract class UpkeepFixture {
  TestDatabase database;
  Trunkline trunkline;
  Upkeep upkeep;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource(), TrunklineConfig.defaults().withUpkeep(false));
    upkeep = upkeepOn(database.dataSource(), TrunklineListener.NONE);
  }

  @AfterEach
  void close() {
    trunkline.topicNames().forEach(name -> trunkline.topic(name).delete());
    trunkline.close();
  }

  /** As another process has it. */
  static Upkeep upkeepOn(DataSource dataSource, TrunklineListener listener) {
    return new Upkeep(new Database(dataSource), listener, Duration.ofSeconds(1));
  }

  /** One partition, so that the order is one. */
  Topic topic(Retention retention) {
    return trunkline.topic(
        "orders", TopicConfig.defaults().withPartitions(1).withRetention(retention));
  }

  /** Records of a kilobyte, published and sequenced. */
  static void publish(Topic topic, int records) {
    topic.publishAll(
        IntStream.range(0, records).mapToObj(i -> Message.text("x".repeat(1000))).toList());
    topic.endOffsets();
  }

  /** What was opened, closed or appended until now was so an hour earlier. */
  void anHourPasses() {
    database.execute(
        """
        UPDATE trunkline.segment SET appended_at = appended_at - interval '1 hour';
        UPDATE trunkline.chunk
        SET opened_at = opened_at - interval '1 hour', closed_at = closed_at - interval '1 hour'
        """);
  }

  /** Ids come from the next chunk. */
  void roll() {
    database.execute(
        """
        SELECT trunkline.add_chunk(id), trunkline.close_chunk(id, (pg_sequence_last_value(id_sequence) >> 40)::integer)
        FROM trunkline.topic
        WHERE deleted_at IS NULL AND pg_sequence_last_value(id_sequence) IS NOT NULL;
        SELECT trunkline.add_chunk(id) FROM trunkline.topic WHERE deleted_at IS NULL
        """);
  }

  /** The chunks of the topic that still have their records. */
  List<String> chunks() {
    return new ArrayList<>(
        database.texts(
            """
            SELECT c.number
            FROM trunkline.chunk c
            JOIN trunkline.topic t ON t.id = c.topic_id
            WHERE t.name = 'orders' AND t.deleted_at IS NULL AND c.emptied_at IS NULL
            ORDER BY c.number
            """));
  }

  /** The tables of records there are, whatever they are of. */
  long tables() {
    return database.number(
        "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^record_[0-9]+_[0-9]+$'");
  }

  static List<String> texts(List<TopicRecord> records) {
    return records.stream().map(record -> record.message().text()).toList();
  }
}
