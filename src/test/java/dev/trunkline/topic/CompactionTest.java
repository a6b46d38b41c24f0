package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.event.TrunklineListener;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class CompactionTest extends UpkeepFixture {
  private static final String GONE = "(tombstone)";

  private Topic compacted(Compaction compaction, int partitions) {
    return trunkline.topic(
        "orders",
        TopicConfig.defaults()
            .withPartitions(partitions)
            .withRetention(Retention.forever())
            .withCompaction(compaction));
  }

  private static void put(Topic topic, String key, String value) {
    topic.publish(Message.text(value).withKey(key));
  }

  private static List<String> log(Topic topic) {
    return topic.read(0, topic.beginningOffsets().get(0), Topic.MAX_READ).stream()
        .map(
            record -> "%d %s=%s".formatted(record.offset(), record.key().orElse(""), value(record)))
        .toList();
  }

  private static String value(TopicRecord record) {
    return record.isTombstone() ? GONE : record.message().text();
  }

  @Test
  void the_last_record_of_each_key_stays_at_its_offset() {
    Topic topic = compacted(Compaction.on(), 1);
    put(topic, "a", "1");
    put(topic, "b", "1");
    put(topic, "a", "2");
    topic.endOffsets();
    upkeep.runOnce();
    assertThat(log(topic)).containsExactly("1 b=1", "2 a=2");

    put(topic, "c", "1");
    put(topic, "a", "3");
    topic.endOffsets();
    upkeep.runOnce();

    assertThat(log(topic)).containsExactly("1 b=1", "3 c=1", "4 a=3");
    assertThat(topic.endOffsets()).isEqualTo(Map.of(0, 5L));
    assertThat(topic.read(0, 0, 1)).as("from an offset whose record is gone").hasSize(1);
    upkeep.runOnce();
    assertThat(log(topic)).containsExactly("1 b=1", "3 c=1", "4 a=3");
  }

  @Test
  void a_poll_that_does_not_wait_finds_what_is_left_behind_any_number_of_removed_records() {
    Topic topic = compacted(Compaction.on(), 1);
    for (int i = 0; i < 10; i++) {
      put(topic, "a", "" + i);
    }
    topic.endOffsets();
    upkeep.runOnce();
    try (GroupConsumer consumer = topic.join("billing", GroupConfig.from(StartFrom.earliest()))) {
      Awaits.until(
          () -> {
            consumer.poll(Duration.ZERO);
            return !consumer.assignment().isEmpty();
          });
      consumer.seek(0, 0);

      PollOptions oneNow = PollOptions.defaults().withMaxRecords(1).withMaxWait(Duration.ZERO);
      assertThat(consumer.poll(oneNow)).extracting(TopicRecord::offset).containsExactly(9L);
    }
  }

  @Test
  void a_record_stays_for_the_lag_whatever_follows_it() {
    Topic topic = compacted(Compaction.on().withLag(Duration.ofMinutes(10)), 1);
    put(topic, "a", "1");
    put(topic, "a", "2");
    topic.endOffsets();
    upkeep.runOnce();
    assertThat(log(topic)).hasSize(2);

    anHourPasses();
    put(topic, "a", "3");
    topic.endOffsets();
    upkeep.runOnce();

    assertThat(log(topic)).containsExactly("1 a=2", "2 a=3");
  }

  @Test
  void a_tombstone_removes_its_key_and_goes_when_its_time_is_over() {
    Topic topic = compacted(Compaction.on().withTombstoneRetention(Duration.ofMinutes(10)), 1);
    put(topic, "a", "1");
    topic.publish(Message.tombstone("a"));
    put(topic, "b", "1");
    topic.publish(Message.tombstone("b"));
    put(topic, "b", "2");
    topic.endOffsets();
    upkeep.runOnce();
    assertThat(log(topic)).containsExactly("1 a=" + GONE, "4 b=2");

    anHourPasses();
    upkeep.runOnce();

    assertThat(log(topic)).containsExactly("4 b=2");
    assertThat(database.texts("SELECT key FROM trunkline.latest_by_key")).isEqualTo(List.of("b"));
    put(topic, "a", "back");
    topic.endOffsets();
    upkeep.runOnce();
    assertThat(log(topic)).containsExactly("4 b=2", "5 a=back");
  }

  @Test
  void records_without_a_key_are_refused_and_those_that_were_there_stay() {
    Topic topic =
        trunkline.topic(
            "orders", TopicConfig.defaults().withPartitions(1).withRetention(Retention.forever()));
    topic.publish(Message.text("no key"));
    put(topic, "a", "1");
    put(topic, "a", "2");
    topic.endOffsets();
    Topic altered = trunkline.alterTopic("orders", topic.config().withCompaction(Compaction.on()));

    upkeep.runOnce();

    assertThat(log(altered)).containsExactly("0 =no key", "2 a=2");
    assertThatThrownBy(() -> altered.publish(Message.text("x")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("key");
    assertThatThrownBy(() -> database.execute("SELECT trunkline.publish('orders', NULL, 'x')"))
        .hasMessageContaining("must have a key");
  }

  @Test
  void a_late_record_of_an_old_chunk_is_the_newest_of_its_key() throws SQLException {
    Topic topic = compacted(Compaction.on(), 1);
    try (Connection late = database.connect()) {
      late.setAutoCommit(false);
      topic.publish(late, Message.text("late").withKey("a"));
      put(topic, "a", "early");
      roll();
      put(topic, "b", "1");
      topic.endOffsets();
      upkeep.runOnce();
      late.commit();
    }
    topic.endOffsets();
    upkeep.runOnce();

    assertThat(log(topic)).containsExactly("1 b=1", "2 a=late");
  }

  @Test
  void what_retention_drops_is_forgotten_by_compaction() {
    Topic topic =
        trunkline.topic(
            "orders",
            TopicConfig.defaults()
                .withPartitions(1)
                .withRetention(Duration.ofMinutes(10))
                .withCompaction(Compaction.on()));
    put(topic, "a", "1");
    put(topic, "b", "1");
    topic.endOffsets();
    upkeep.runOnce();
    roll();
    anHourPasses();
    put(topic, "a", "2");
    topic.endOffsets();
    upkeep.runOnce();
    upkeep.runOnce();

    assertThat(log(topic)).containsExactly("2 a=2");
    assertThat(database.texts("SELECT key FROM trunkline.latest_by_key")).isEqualTo(List.of("a"));
  }

  /**
   * Publishers own their keys, so each knows the last value of its own. Two processes compact, a
   * reader goes along in the middle of it, chunks are closed.
   */
  @Test
  void whatever_is_published_the_last_values_are_there_and_readers_see_an_order() throws Exception {
    Topic topic = compacted(Compaction.on().withTombstoneRetention(Duration.ofHours(1)), 2);
    Map<String, String> expected = new ConcurrentHashMap<>();
    AtomicBoolean over = new AtomicBoolean();
    List<CompletableFuture<Void>> compactors = List.of(compactor(over), compactor(over));
    List<CompletableFuture<Void>> publishers =
        IntStream.range(0, 3)
            .mapToObj(i -> CompletableFuture.runAsync(() -> publisher(topic, i, expected)))
            .toList();
    CompletableFuture<Map<String, String>> reader =
        CompletableFuture.supplyAsync(() -> follow(topic, over));

    CompletableFuture.allOf(publishers.toArray(CompletableFuture[]::new)).join();
    topic.endOffsets();
    over.set(true);
    compactors.forEach(CompletableFuture::join);
    Map<String, String> seen = reader.join();
    upkeep.runOnce();
    upkeep.runOnce();

    Map<String, String> left = new TreeMap<>();
    for (int partition = 0; partition < 2; partition++) {
      for (TopicRecord record : topic.read(partition, 0, Topic.MAX_READ)) {
        String before = left.put(record.key().orElseThrow(), value(record));
        assertThat(before).as("one record of each key").isNull();
      }
    }
    assertThat(left).isEqualTo(new TreeMap<>(expected));
    assertThat(seen).as("what a reader ends with").isEqualTo(new HashMap<>(expected));
    assertThat(database.number("SELECT count(*) FROM trunkline.latest_by_key"))
        .isEqualTo(expected.size());
    assertThat(database.number("SELECT count(*) FROM trunkline.compaction"))
        .as("steps that were replaced are gone")
        .isEqualTo(2);
  }

  private CompletableFuture<Void> compactor(AtomicBoolean over) {
    Upkeep process = upkeepOn(database.dataSource(), TrunklineListener.NONE);
    return CompletableFuture.runAsync(
        () -> {
          while (!over.get()) {
            process.runOnce();
          }
        });
  }

  private void publisher(Topic topic, int number, Map<String, String> expected) {
    Random random = new Random(number);
    for (int round = 0; round < 60; round++) {
      List<Message> batch = new ArrayList<>();
      Map<String, String> values = new HashMap<>();
      for (int i = 0; i < 20; i++) {
        String key = number + "-" + random.nextInt(30) + "ü😀".repeat(random.nextInt(2));
        if (random.nextInt(10) == 0) {
          batch.add(Message.tombstone(key));
          values.put(key, GONE);
        } else {
          String value = round + "." + i;
          batch.add(Message.text(value).withKey(key));
          values.put(key, value);
        }
      }
      boolean commits = random.nextInt(8) != 0;
      try (Connection connection = database.connect()) {
        connection.setAutoCommit(false);
        topic.publishAll(connection, batch);
        if (commits) {
          connection.commit();
          expected.putAll(values);
        } else {
          connection.rollback();
        }
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
      if (number == 0 && round % 20 == 19) {
        roll();
      }
    }
  }

  /** The last value of each key that a reader sees who goes along. */
  private static Map<String, String> follow(Topic topic, AtomicBoolean over) {
    Map<String, String> seen = new HashMap<>();
    long[] next = new long[2];
    boolean last;
    do {
      last = over.get();
      for (int partition = 0; partition < 2; partition++) {
        for (TopicRecord record : topic.read(partition, next[partition], 50)) {
          assertThat(record.offset()).isGreaterThanOrEqualTo(next[partition]);
          next[partition] = record.offset() + 1;
          seen.put(record.key().orElseThrow(), value(record));
        }
      }
    } while (!last || hasMore(topic, next));
    return seen;
  }

  private static boolean hasMore(Topic topic, long[] next) {
    return IntStream.range(0, 2).anyMatch(p -> !topic.read(p, next[p], 1).isEmpty());
  }
}
