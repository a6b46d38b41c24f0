package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Publishers, sequencers and readers that truly run at the same time. */
@PostgresTest
class ConcurrentLogTest {
  private static final int PUBLISHERS = 5;
  private static final int READERS = 2;

  private TestDatabase database;
  private final LogModel model = new LogModel();
  private final List<Throwable> failures = new CopyOnWriteArrayList<>();
  private volatile long endNanos;

  @Test
  void the_log_is_complete_and_in_order_for_every_reader() throws Exception {
    runFor(Duration.ofMillis(1_500));
  }

  @Test
  @Tag("torture")
  void the_log_is_complete_and_in_order_for_every_reader_for_a_minute() throws Exception {
    runFor(Duration.ofMinutes(1));
  }

  private void runFor(Duration duration) throws Exception {
    TrunklineConfig config = TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);
    try (Trunkline one = Trunkline.open(database.dataSource(), config);
        Trunkline two = Trunkline.open(database.dataSource(), config)) {
      Topic topic = one.topic("raced", TopicConfig.defaults().withPartitions(2));
      Topic other = two.topic("raced");
      Database own = new Database(database.dataSource());
      TopicRow row = own.run(session -> TopicStore.find(session, "raced")).orElseThrow();
      endNanos = System.nanoTime() + duration.toNanos();
      List<Thread> threads = new ArrayList<>();
      List<Follower.ByOffset> readers = new ArrayList<>();
      long seed = ThreadLocalRandom.current().nextLong();
      for (int i = 0; i < PUBLISHERS; i++) {
        Topic published = i % 2 == 0 ? topic : other;
        SplittableRandom random = new SplittableRandom(seed + i);
        threads.add(new Thread(() -> guarded(() -> publish(published, random)), "publisher-" + i));
      }
      for (int i = 0; i < READERS; i++) {
        // Every other one takes its steps itself, and knows what it has made.
        Tail tail = new Tail(own, new LogReader(own), row, Duration.ofSeconds(1));
        boolean knows = i % 2 == 0;
        Follower.ByOffset reader =
            knows
                ? new Follower.ByOffset(
                    (partition, offset, max) -> tail.read(partition, offset, max, Long.MAX_VALUE),
                    row)
                : new Follower.ByOffset(new LogReader(own), row);
        readers.add(reader);
        threads.add(
            new Thread(
                () ->
                    guarded(
                        () -> {
                          while (System.nanoTime() < endNanos) {
                            if (knows) {
                              tail.boundsForSure();
                            } else {
                              other.endOffsets();
                            }
                            reader.look(500);
                          }
                        }),
                "reader-" + i));
      }
      threads.forEach(Thread::start);
      for (Thread thread : threads) {
        thread.join();
      }

      assertThat(failures).isEmpty();
      topic.endOffsets();
      for (Follower.ByOffset reader : readers) {
        reader.lookToTheEnd();
        assertThat(reader.complaints()).isEmpty();
        assertThat(model.complaints(reader.delivered())).as("seed %d", seed).isEmpty();
      }
      topic.delete();
    }
  }

  /** Work that may fail. */
  @FunctionalInterface
  private interface Work {
    void run() throws SQLException;
  }

  private void guarded(Work work) {
    try {
      work.run();
    } catch (SQLException | RuntimeException | Error e) {
      failures.add(e);
    }
  }

  private void publish(Topic topic, SplittableRandom random) throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      while (System.nanoTime() < endNanos) {
        List<LogModel.Published> published = new ArrayList<>();
        for (int i = random.nextInt(4); i >= 0; i--) {
          int before = published.size();
          Savepoint savepoint = random.nextInt(4) == 0 ? connection.setSavepoint() : null;
          publish(topic, connection, random, published);
          if (savepoint != null && random.nextBoolean()) {
            connection.rollback(savepoint);
            published.subList(before, published.size()).clear();
          }
        }
        if (random.nextInt(8) == 0) {
          connection.rollback();
        } else {
          connection.commit();
          model.committed(published, System.nanoTime());
        }
      }
    }
  }

  private void publish(
      Topic topic,
      Connection connection,
      SplittableRandom random,
      List<LogModel.Published> published) {
    String key = random.nextInt(4) == 0 ? null : "k" + random.nextInt(20);
    long now = System.nanoTime();
    List<LogModel.Published> some =
        IntStream.rangeClosed(0, random.nextInt(3))
            .mapToObj(i -> new LogModel.Published(model.freshText(), key, now))
            .toList();
    topic.publishAll(
        connection,
        some.stream()
            .map(
                record -> {
                  Message message = Message.text(record.text());
                  return key == null ? message : message.withKey(key);
                })
            .toList());
    published.addAll(some);
  }
}
