package dev.trunkline.topic;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.message.Message;
import dev.trunkline.queue.NotifyMode;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A topic of two partitions, a shared group on it, and the hands of the clock. */
@PostgresTest
abstract class SharedGroupFixture {
  /** Failures come back at once, so that a test need not wait for them. */
  static final RetryPolicy AT_ONCE =
      RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO);

  /** Hidden for so long that nothing in a test comes back because of it. */
  static final SharedGroupConfig CONFIG =
      SharedGroupConfig.from(StartFrom.earliest())
          .withRetryPolicy(AT_ONCE)
          .withVisibilityTimeout(Duration.ofMinutes(10))
          .withSessionTimeout(Duration.ofMillis(1_500));

  /** Without notifications: none but the tests' own wake anybody. */
  static final TrunklineConfig QUICK =
      TrunklineConfig.defaults()
          .withMigrationMode(MigrationMode.OFF)
          .withNotifyMode(NotifyMode.OFF)
          .withPollInterval(Duration.ofMillis(100));

  static final PollOptions NOW = PollOptions.defaults().withMaxWait(Duration.ZERO);
  static final PollOptions PATIENTLY = PollOptions.defaults().withMaxWait(Duration.ofSeconds(20));

  private static final AtomicInteger TOPICS = new AtomicInteger();

  private final List<Trunkline> opened = new ArrayList<>();
  TestDatabase database;
  Trunkline trunkline;
  Topic topic;

  @BeforeEach
  void declare_the_topic() {
    database.truncateAll();
    trunkline = open();
    topic =
        trunkline.topic(
            "orders-" + TOPICS.incrementAndGet(), TopicConfig.defaults().withPartitions(2));
  }

  @AfterEach
  void close_what_was_opened() {
    opened.forEach(Trunkline::close);
  }

  /** As another process has it. */
  final Trunkline open() {
    return open(QUICK);
  }

  final Trunkline open(TrunklineConfig config) {
    Trunkline another = Trunkline.open(database.dataSource(), config);
    opened.add(another);
    return another;
  }

  final SharedGroup billing() {
    return topic.sharedGroup("billing", CONFIG);
  }

  /** Publishes texts "0", "1", ..., over both partitions. */
  final void publish(int count) {
    topic.publishAll(
        IntStream.range(0, count)
            .mapToObj(i -> Message.text(String.valueOf(i)).withKey("key-" + i))
            .toList());
  }

  static List<String> texts(List<SharedDelivery> deliveries) {
    return deliveries.stream().map(delivery -> delivery.message().text()).sorted().toList();
  }

  /** Takes back what has expired by then. Answers how many leases. */
  final int reapAt(Instant time) {
    SharedReaper reaper = new SharedReaper(library(), new DueTime(), (group, soonestMs) -> {});
    return reaper.reapExpired(time);
  }

  final Database library() {
    return new Database(database.dataSource());
  }

  final long count(String table) {
    return database.number("SELECT count(*) FROM trunkline." + table);
  }
}
