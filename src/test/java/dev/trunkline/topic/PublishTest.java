package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.Trunkline;
import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jdbi.v3.core.Jdbi;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class PublishTest {
  private TestDatabase database;
  private Trunkline trunkline;
  private Topic topic;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource());
    topic = trunkline.topic("orders", TopicConfig.defaults().withMaxPayloadBytes(1000));
  }

  @AfterEach
  void close() {
    trunkline.topicNames().forEach(name -> trunkline.topic(name).delete());
    trunkline.close();
  }

  private List<TopicRecord> all(int partition) {
    return topic.read(partition, 0, Topic.MAX_READ);
  }

  private List<TopicRecord> all() {
    List<TopicRecord> records = new ArrayList<>();
    topic.endOffsets().keySet().forEach(partition -> records.addAll(all(partition)));
    return records;
  }

  @Test
  void what_was_published_is_read_as_it_was_sent() {
    Instant happened = Instant.parse("2020-02-03T04:05:06.789012Z");
    topic.publish(
        Message.text("hello")
            .withKey("customer-42")
            .withType("order.placed")
            .withHeader("trace", "a\"b\\c,{}")
            .withTimestamp(happened));

    TopicRecord record = all().get(0);

    assertThat(record.topic()).isEqualTo("orders");
    assertThat(record.offset()).isZero();
    assertThat(record.message().text()).isEqualTo("hello");
    assertThat(record.key()).contains("customer-42");
    assertThat(record.message().type()).contains("order.placed");
    assertThat(record.message().contentType()).contains("text/plain");
    assertThat(record.message().headers()).isEqualTo(Map.of("trace", "a\"b\\c,{}"));
    assertThat(record.sourceAt()).isEqualTo(happened);
    assertThat(record.appendedAt())
        .isBetween(Instant.now().minus(Duration.ofMinutes(1)), Instant.now().plusSeconds(60));
    assertThat(record.isTombstone()).isFalse();
  }

  @Test
  void a_tombstone_has_a_key_and_no_payload() {
    topic.publish(Message.tombstone("customer-42").withHeader("why", "asked for"));

    TopicRecord record = all().get(0);

    assertThat(record.isTombstone()).isTrue();
    assertThat(record.message().payload()).isEmpty();
    assertThat(record.key()).contains("customer-42");
    assertThat(record.message().headers()).containsEntry("why", "asked for");
  }

  @Test
  void an_empty_payload_is_not_a_tombstone() {
    topic.publish(Message.bytes(new byte[0]).withKey("k"));

    assertThat(all().get(0).isTombstone()).isFalse();
  }

  @Test
  void offsets_are_dense_and_in_the_order_of_publishing_for_one_publisher() {
    for (int i = 0; i < 50; i++) {
      topic.publish(Message.text("" + i).withKey("same"));
    }
    topic.publishAll(
        IntStream.range(50, 1050).mapToObj(i -> Message.text("" + i).withKey("same")).toList());

    List<TopicRecord> records = all(Partitioner.partitionOf("same", 4));

    assertThat(records)
        .extracting(TopicRecord::offset)
        .isEqualTo(LongStream.range(0, 1050).boxed().toList());
    assertThat(records)
        .extracting(record -> record.message().text())
        .isEqualTo(IntStream.range(0, 1050).mapToObj(i -> "" + i).toList());
  }

  @Test
  void ids_are_answered_in_the_order_of_the_messages() {
    List<Message> messages =
        IntStream.range(0, 5000).mapToObj(i -> Message.text("" + i).withKey("" + i % 7)).toList();

    List<RecordId> ids = topic.publishAll(messages);

    Map<RecordId, String> byId =
        all().stream()
            .collect(
                java.util.stream.Collectors.toMap(
                    TopicRecord::id, record -> record.message().text()));
    assertThat(ids.stream().map(byId::get).toList())
        .isEqualTo(messages.stream().map(Message::text).toList());
  }

  @Test
  void each_message_of_a_batch_over_all_partitions_keeps_what_is_its_own() {
    Map<String, Message> sent = new HashMap<>();
    for (int i = 0; i < 60; i++) {
      String key = "key-" + i;
      Message message =
          i % 11 == 10 ? Message.tombstone(key) : Message.text("text " + i).withKey(key);
      if (i % 2 == 0) {
        message = message.withTimestamp(Instant.EPOCH.plusSeconds(i - 30).plusNanos(i * 1_000));
      }
      if (i % 3 == 0) {
        message = message.withType("type-" + i);
      }
      if (i % 5 == 0) {
        message = message.withHeader("number", String.valueOf(i));
      }
      sent.put(key, message);
    }

    topic.publishAll(List.copyOf(sent.values()));

    List<TopicRecord> all = all();
    assertThat(all).hasSize(60);
    assertThat(all.stream().map(TopicRecord::partition).distinct()).hasSizeGreaterThan(1);
    for (TopicRecord record : all) {
      Message message = sent.get(record.key().orElseThrow());
      assertThat(record.message().payload()).isEqualTo(message.payload());
      assertThat(record.isTombstone()).isEqualTo(message.isTombstone());
      assertThat(record.message().type()).isEqualTo(message.type());
      assertThat(record.message().headers()).isEqualTo(message.headers());
      assertThat(record.message().contentType()).isEqualTo(message.contentType());
      message
          .timestamp()
          .ifPresentOrElse(
              timestamp -> assertThat(record.sourceAt()).isEqualTo(timestamp),
              () -> assertThat(record.sourceAt()).isAfter(Instant.EPOCH.plusSeconds(3_600)));
    }
  }

  @Test
  void a_rolled_back_publish_leaves_nothing_and_takes_no_offset() throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      topic.publish(connection, Message.text("gone").withKey("k"));
      connection.rollback();
      topic.publish(connection, Message.text("kept").withKey("k"));
      Savepoint savepoint = connection.setSavepoint();
      topic.publish(connection, Message.text("gone, too").withKey("k"));
      connection.rollback(savepoint);
      topic.publish(connection, Message.text("kept, too").withKey("k"));
      assertThat(all()).isEmpty();
      connection.commit();
    }

    assertThat(all())
        .extracting(record -> record.message().text())
        .containsExactly("kept", "kept, too");
    assertThat(all()).extracting(TopicRecord::offset).containsExactly(0L, 1L);
  }

  @Test
  void a_jdbi_handle_carries_a_publish() {
    Jdbi.create(database.dataSource())
        .useTransaction(handle -> topic.publish(handle, Message.text("by handle")));

    assertThat(all()).hasSize(1);
  }

  @Test
  void what_a_topic_cannot_do_is_refused() {
    assertThatThrownBy(() -> topic.publish(Message.bytes(new byte[1001])))
        .isInstanceOf(PayloadTooLargeException.class)
        .hasMessageContaining("1001")
        .hasMessageContaining("orders");
    assertThatThrownBy(() -> topic.publish(Message.text("x").withDelay(Duration.ofSeconds(1))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("delayed");
    assertThatThrownBy(() -> topic.publish(Message.text("x").withPriority(3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("3");
    assertThatThrownBy(() -> topic.publish(Message.text("x").withKey("\u6f22".repeat(667))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("key")
        .hasMessageContaining("2001");
    assertThatThrownBy(() -> topic.read(4, 0, 10))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("partition")
        .hasMessageContaining("4");
    assertThatThrownBy(() -> topic.read(0, 1, 10)).isInstanceOf(OffsetOutOfRangeException.class);
    assertThatThrownBy(() -> topic.read(0, -1, 10)).isInstanceOf(OffsetOutOfRangeException.class);
    assertThatThrownBy(() -> topic.read(0, 0, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("maxRecords");
    assertThat(all()).isEmpty();
  }

  @Test
  void a_deleted_topic_is_not_found_and_its_name_is_free() {
    topic.publish(Message.text("old"));
    topic.delete();

    assertThatThrownBy(() -> topic.publish(Message.text("x")))
        .isInstanceOf(TopicNotFoundException.class);
    assertThatThrownBy(() -> topic.read(0, 0, 1)).isInstanceOf(TopicNotFoundException.class);
    assertThatThrownBy(() -> trunkline.topic("orders")).isInstanceOf(TopicNotFoundException.class);
    topic = trunkline.topic("orders", TopicConfig.defaults());
    assertThat(all()).isEmpty();
  }

  @Test
  void times_find_offsets() {
    topic.publish(Message.text("first").withKey("k"));
    int partition = Partitioner.partitionOf("k", 4);
    assertThat(topic.endOffsets()).containsEntry(partition, 1L);
    topic.publish(Message.text("second").withKey("k"));
    List<TopicRecord> records = all(partition);
    Instant second = records.get(1).appendedAt();

    assertThat(second).isAfter(records.get(0).appendedAt());
    assertThat(topic.offsetsForTimes(second)).containsEntry(partition, 1L);
    assertThat(topic.offsetsForTimes(second.minusNanos(1000))).containsEntry(partition, 1L);
    assertThat(topic.offsetsForTimes(second.plusNanos(1))).containsEntry(partition, 2L);
    assertThat(topic.offsetsForTimes(Instant.EPOCH)).isEqualTo(Map.of(0, 0L, 1, 0L, 2, 0L, 3, 0L));
  }
}
