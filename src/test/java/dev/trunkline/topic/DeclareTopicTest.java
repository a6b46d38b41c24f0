package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.TopicConfigMismatchException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@PostgresTest
class DeclareTopicTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  private static final TopicConfig EVERYTHING =
      TopicConfig.defaults()
          .withPartitions(3)
          .withMaxPayloadBytes(77)
          .withRetention(
              Retention.defaults()
                  .withAge(Duration.ofMillis(3_600_123))
                  .withBytes(5_000_000)
                  .holdingUnreadUpTo(9_000_000))
          .withCompaction(
              Compaction.on()
                  .withLag(Duration.ofMillis(1_500))
                  .withTombstoneRetention(Duration.ofDays(3)))
          .withChunks(new Chunks(Duration.ofMinutes(7), 2_000_000));

  private TestDatabase database;
  private Trunkline trunkline;
  private Trunkline other;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource(), OPENED);
    other = Trunkline.open(database.dataSource(), OPENED);
  }

  @AfterEach
  void close() {
    trunkline.topicNames().forEach(name -> trunkline.topic(name).delete());
    trunkline.close();
    other.close();
  }

  @Test
  void a_configuration_comes_back_as_it_was_declared() {
    trunkline.topic("everything", EVERYTHING);
    trunkline.topic("forever", TopicConfig.defaults().withRetention(Retention.forever()));

    assertThat(other.topic("everything").config()).isEqualTo(EVERYTHING);
    assertThat(other.topic("forever").config().retention()).isEqualTo(Retention.forever());
    assertThat(other.topicNames()).containsExactly("everything", "forever");
  }

  @Test
  void declaring_again_finds_the_topic_and_another_configuration_is_refused() {
    Topic topic = trunkline.topic("declared", EVERYTHING);
    topic.publish(Message.text("x").withKey("k"));

    assertThat(other.topic("declared", EVERYTHING).endOffsets().values()).contains(1L);
    assertThatThrownBy(() -> other.topic("declared", EVERYTHING.withMaxPayloadBytes(78)))
        .isInstanceOf(TopicConfigMismatchException.class)
        .hasMessageContaining("declared")
        .hasMessageContaining("77")
        .hasMessageContaining("78");
    assertThat(database.number("SELECT count(*) FROM trunkline.topic")).isEqualTo(1);
  }

  @Test
  void two_processes_that_declare_at_the_same_time_get_the_same_topic() {
    for (int round = 0; round < 5; round++) {
      String name = "together-" + round;
      List<CompletableFuture<Topic>> declared =
          IntStream.range(0, 6)
              .mapToObj(
                  i ->
                      CompletableFuture.supplyAsync(
                          () -> (i % 2 == 0 ? trunkline : other).topic(name, EVERYTHING)))
              .toList();
      for (CompletableFuture<Topic> future : declared) {
        future.join().publish(Message.text("x").withKey("k"));
      }
      assertThat(trunkline.topic(name).endOffsets().values()).containsExactlyInAnyOrder(6L, 0L, 0L);
    }
    assertThat(trunkline.topicNames()).hasSize(5);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "-x", "a b", "ä", "x/y"})
  void a_name_that_is_not_valid_is_refused(String name) {
    assertThatThrownBy(() -> trunkline.topic(name, EVERYTHING))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("name");
    assertThatThrownBy(() -> trunkline.topic(name)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void a_topic_that_was_not_declared_is_not_found() {
    assertThatThrownBy(() -> trunkline.topic("nowhere"))
        .isInstanceOf(TopicNotFoundException.class)
        .hasMessageContaining("nowhere");
  }

  @Test
  void altering_changes_everything_but_takes_no_partition_away() {
    trunkline.topic("altered", TopicConfig.defaults());

    assertThat(trunkline.alterTopic("altered", EVERYTHING.withPartitions(4)).config())
        .isEqualTo(EVERYTHING.withPartitions(4));
    assertThat(other.topic("altered", EVERYTHING.withPartitions(4)).name()).isEqualTo("altered");
    assertThatThrownBy(() -> trunkline.alterTopic("altered", EVERYTHING.withPartitions(3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("partitions")
        .hasMessageContaining("4")
        .hasMessageContaining("3");
    assertThat(trunkline.alterTopic("made-by-altering", EVERYTHING).config()).isEqualTo(EVERYTHING);
  }

  @Test
  void new_partitions_are_used_by_all_processes_and_what_was_there_stays_where_it_is() {
    Topic before = other.topic("growing", TopicConfig.defaults().withPartitions(1));
    before.publishAll(messages(0, 50));

    Topic grown = trunkline.alterTopic("growing", TopicConfig.defaults().withPartitions(6));
    // Learns of it with this one.
    before.publish(Message.text("m50").withKey("k50"));
    before.publishAll(messages(51, 200));
    grown.publishAll(messages(200, 400));

    assertThat(before.endOffsets()).isEqualTo(grown.endOffsets()).hasSize(6);
    Set<String> texts = new HashSet<>();
    List<Integer> used = new ArrayList<>();
    for (int partition = 0; partition < 6; partition++) {
      List<TopicRecord> records = grown.read(partition, 0, 1_000);
      records.forEach(record -> texts.add(record.message().text()));
      if (!records.isEmpty()) {
        used.add(partition);
      }
      for (TopicRecord record : records) {
        int number = Integer.parseInt(record.message().text().substring(1));
        assertThat(partition)
            .isEqualTo(number <= 50 ? 0 : Partitioner.partitionOf(record.key().orElseThrow(), 6));
      }
    }
    assertThat(texts).hasSize(400);
    assertThat(used).containsExactly(0, 1, 2, 3, 4, 5);
    assertThat(before.read(5, 0, 10)).isNotEmpty();
  }

  private static List<Message> messages(int from, int to) {
    return IntStream.range(from, to).mapToObj(i -> Message.text("m" + i).withKey("k" + i)).toList();
  }
}
