package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.QUICKLY_MISSED;
import static dev.trunkline.crash.OtherProcess.say;
import static dev.trunkline.crash.OtherProcess.stay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.PartitionLostException;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.GroupConsumer;
import dev.trunkline.topic.PartitionListener;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Subscription;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import dev.trunkline.topic.TopicRecord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Members of a group in a second JVM that is killed, or stands still for too long. */
@PostgresTest
class KilledMemberTest {
  private static final TrunklineConfig DEFAULTS =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);
  private static final GroupConfig GROUP = GroupConfig.from(StartFrom.earliest());
  private static final GroupConfig QUICK = GROUP.withSessionTimeout(Duration.ofSeconds(2));

  private TestDatabase database;

  @AfterEach
  void delete_the_topic() {
    database.execute(
        """
        UPDATE trunkline.topic SET deleted_at = now();
        DELETE FROM trunkline.consumer_group;
        DELETE FROM trunkline.group_partition;
        DELETE FROM trunkline.group_commit;
        DELETE FROM trunkline.group_member
        """);
  }

  /** Handles until it is killed. */
  static final class Handles {
    private Handles() {}

    public static void main(String[] arguments) {
      Topic topic = OtherProcess.open(arguments, DEFAULTS).topic("orders");
      topic.subscribe("billing", GROUP, record -> say("handled " + record.message().text()));
      stay();
    }
  }

  @Test
  void what_a_killed_process_had_works_again_within_the_session_timeout_and_nothing_is_lost() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), DEFAULTS)) {
      Topic topic = trunkline.topic("orders", TopicConfig.defaults());
      Map<String, Integer> handled = new ConcurrentHashMap<>();
      try (SecondJvm other = OtherProcess.running(Handles.class, database).start();
          Subscription here =
              topic.subscribe(
                  "billing", GROUP, r -> handled.merge(r.message().text(), 1, Integer::sum))) {
        Awaits.await()
            .atMost(Duration.ofSeconds(60))
            .until(
                () ->
                    database.number(
                            """
                            SELECT count(*)
                            FROM trunkline.group_partition p
                            JOIN trunkline.group_member m ON m.id = p.member_id
                            WHERE m.pid = ?
                            """,
                            other.pid())
                        == 2);
        publish(topic, 0, 200);
        other.awaitLine("handled");

        other.kill();
        long killed = System.nanoTime();
        publish(topic, 200, 200);

        Awaits.await().atMost(Duration.ofSeconds(30)).until(() -> here.assignment().size() == 4);
        Duration healed = Duration.ofNanos(System.nanoTime() - killed);
        assertThat(healed).isLessThan(GroupConfig.DEFAULT_SESSION_TIMEOUT.plusMillis(500));
        Awaits.until(
            () -> {
              Set<String> all = ConcurrentHashMap.newKeySet();
              all.addAll(handled.keySet());
              other.lines().forEach(line -> all.add(line.replace("handled ", "")));
              return all.size() == 400;
            });
      }
    }
  }

  /** Polls, and is frozen before it commits. */
  static final class Polls {
    private Polls() {}

    public static void main(String[] arguments) throws Exception {
      Topic topic = OtherProcess.open(arguments, QUICKLY_MISSED).topic("orders");
      PartitionListener listener =
          new PartitionListener() {
            @Override
            public void onLost(GroupConsumer consumer, Set<Integer> partitions) {
              say("lost " + partitions);
            }
          };
      GroupConsumer consumer = topic.join("billing", QUICK, listener);
      List<TopicRecord> polled = new ArrayList<>();
      while (polled.size() < 100) {
        polled.addAll(consumer.poll(Duration.ofMillis(100)));
      }
      say("polled all");
      Database.awaitWord(arguments, "late");
      try {
        consumer.commit();
        say("committed");
      } catch (PartitionLostException e) {
        say("commit refused");
      }
      consumer.poll(Duration.ofMillis(100));
      say("polled again");
      stay();
    }
  }

  /** How the test tells the second JVM to go on. */
  private static final class Database {
    static void awaitWord(String[] arguments, String word) throws Exception {
      try (java.sql.Connection connection =
          java.sql.DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
        Awaits.until(
            () -> {
              try (var rows =
                  connection
                      .createStatement()
                      .executeQuery("SELECT FROM word WHERE word = '" + word + "'")) {
                return rows.next();
              }
            });
      }
    }
  }

  @Test
  void a_frozen_process_that_wakes_can_commit_nothing_and_hears_that_all_is_lost()
      throws Exception {
    database.execute("DROP TABLE IF EXISTS word; CREATE TABLE word (word text)");
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED)) {
      Topic topic = trunkline.topic("orders", TopicConfig.defaults());
      publish(topic, 0, 100);
      try (SecondJvm other = OtherProcess.running(Polls.class, database).start()) {
        other.awaitLine("polled all");
        other.freeze();
        try (GroupConsumer here = topic.join("billing", QUICK)) {
          List<TopicRecord> again = new ArrayList<>();
          Awaits.until(
              () -> {
                again.addAll(here.poll(Duration.ofMillis(100)));
                return again.size() == 100;
              });
          other.thaw();
          database.execute("INSERT INTO word VALUES ('late')");
          other.awaitLine("polled again");
          assertThat(other.lines()).contains("commit refused", "lost [0, 1, 2, 3]");
          assertThat(database.number("SELECT sum(committed) FROM trunkline.group_commit")).isZero();
          here.commit(Map.of(again.get(0).partition(), here.position(again.get(0).partition())));
        }
      }
    }
  }

  private static void publish(Topic topic, int from, int count) {
    topic.publishAll(
        IntStream.range(from, from + count)
            .mapToObj(i -> Message.text(String.valueOf(i)).withKey("key-" + i))
            .toList());
  }
}
