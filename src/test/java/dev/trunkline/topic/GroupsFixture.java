package dev.trunkline.topic;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A topic, "orders", of four partitions, and groups that read it. */
@PostgresTest
abstract class GroupsFixture {
  static final TrunklineConfig OPENED =
      TrunklineConfig.defaults()
          .withMigrationMode(MigrationMode.OFF)
          .withPollInterval(Duration.ofMillis(100))
          .withHeartbeatTimeout(Duration.ofSeconds(5));

  /** Failures come back at once, so that a test need not wait for them. */
  static final RetryPolicy AT_ONCE =
      RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO);

  static final GroupConfig CONFIG =
      GroupConfig.from(StartFrom.earliest())
          .withRetryPolicy(AT_ONCE)
          .withSessionTimeout(Duration.ofSeconds(2));

  private final List<Trunkline> opened = new ArrayList<>();
  TestDatabase database;
  Trunkline trunkline;
  Topic topic;

  @BeforeEach
  void declare_the_topic() {
    trunkline = open(OPENED);
    topic = trunkline.topic("orders", TopicConfig.defaults());
  }

  @AfterEach
  void close_what_was_opened() {
    opened.forEach(Trunkline::close);
    database.execute(
        """
        DELETE FROM trunkline.consumer_group;
        DELETE FROM trunkline.group_member;
        DELETE FROM trunkline.member_heartbeat;
        DELETE FROM trunkline.group_partition;
        DELETE FROM trunkline.group_commit;
        DELETE FROM trunkline.group_failure;
        DELETE FROM trunkline.parked_key;
        DELETE FROM trunkline.group_redelivery;
        DELETE FROM trunkline.dead_letter;
        UPDATE trunkline.topic SET deleted_at = now()
        """);
  }

  /** Another Trunkline on the same database, as another process would have it. */
  final Trunkline open(TrunklineConfig config) {
    Trunkline another = Trunkline.open(database.dataSource(), config);
    opened.add(another);
    return another;
  }

  /** The same topic, in what stands for another process. */
  final Topic elsewhere() {
    return open(OPENED).topic("orders");
  }

  /** Messages "0", "1" and so on of ten keys, as many as asked for. */
  final void publish(int count) {
    publish(0, count);
  }

  final void publish(int from, int count) {
    topic.publishAll(
        IntStream.range(from, from + count)
            .mapToObj(i -> Message.text(String.valueOf(i)).withKey("key-" + i % 10))
            .toList());
  }

  static String text(TopicRecord record) {
    return record.message().text();
  }

  /** What the group has committed, over all partitions. */
  final long committed(String group) {
    return database.number(
        """
        SELECT coalesce(sum((
          SELECT c.committed
          FROM trunkline.group_commit c
          WHERE c.group_id = p.group_id AND c.partition = p.partition
          ORDER BY c.id DESC
          LIMIT 1)), 0)
        FROM trunkline.group_partition p
        JOIN trunkline.consumer_group g ON g.id = p.group_id
        WHERE g.name = ?
        """,
        group);
  }
}
