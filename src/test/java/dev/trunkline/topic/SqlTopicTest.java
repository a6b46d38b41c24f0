package dev.trunkline.topic;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class SqlTopicTest {
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

  private List<TopicRecord> all() {
    return topic.endOffsets().keySet().stream()
        .flatMap(partition -> topic.read(partition, 0, Topic.MAX_READ).stream())
        .toList();
  }

  @Test
  void a_key_has_the_same_partition_in_sql_and_in_java() throws Exception {
    Random random = new Random(42);
    List<String> keys =
        IntStream.range(0, 3000).mapToObj(i -> randomKey(random, random.nextInt(40))).toList();
    try (Connection connection = database.connect();
        PreparedStatement statement =
            connection.prepareStatement(
                """
                SELECT trunkline.murmur2(convert_to(key, 'UTF8')), trunkline.partition_of(key, 7)
                FROM unnest(?::text[]) WITH ORDINALITY AS k(key, position)
                ORDER BY position
                """)) {
      statement.setArray(1, connection.createArrayOf("text", keys.toArray()));
      try (ResultSet rows = statement.executeQuery()) {
        for (String key : keys) {
          assertThat(rows.next()).isTrue();
          assertThat((int) rows.getLong(1)).as(key).isEqualTo(Murmur2.hash(key.getBytes(UTF_8)));
          assertThat(rows.getInt(2)).as(key).isEqualTo(Partitioner.partitionOf(key, 7));
        }
      }
    }
  }

  /** Any characters but the two that PostgreSQL's text cannot hold. */
  private static String randomKey(Random random, int length) {
    StringBuilder key = new StringBuilder();
    while (key.length() < length) {
      int limit = List.of(0x80, 0x800, 0x10000, 0x110000).get(random.nextInt(4));
      int point = random.nextInt(limit);
      if (point != 0 && (point < Character.MIN_SURROGATE || point > Character.MAX_SURROGATE)) {
        key.appendCodePoint(point);
      }
    }
    return key.toString();
  }

  @Test
  void what_sql_publishes_java_reads_and_the_other_way_round() {
    long id =
        database.number(
            """
            SELECT trunkline.publish('orders', 'customer-42', '{"n": 1}', '{"trace": "t\\"1"}', 'order.placed',
              'application/json', '2020-02-03T04:05:06.789012Z')
            """);

    TopicRecord record = all().get(0);
    assertThat(record.id().value()).isEqualTo(id);
    assertThat(record.partition()).isEqualTo(Partitioner.partitionOf("customer-42", 4));
    assertThat(record.message().text()).isEqualTo("{\"n\": 1}");
    assertThat(record.key()).contains("customer-42");
    assertThat(record.message().headers()).isEqualTo(Map.of("trace", "t\"1"));
    assertThat(record.message().type()).contains("order.placed");
    assertThat(record.message().contentType()).contains("application/json");
    assertThat(record.sourceAt()).isEqualTo(Instant.parse("2020-02-03T04:05:06.789012Z"));

    topic.publish(
        Message.bytes(new byte[] {(byte) 0xff, 'x'}).withKey("customer-42").withHeader("h", "1"));
    topic.endOffsets();
    assertThat(
            database.rows(
                """
                SELECT "offset", key, type, payload, headers::text, source_at IS NOT NULL, appended_at IS NOT NULL
                FROM trunkline.records('orders', ?, 0, 10)
                """,
                record.partition()))
        .isEqualTo(
            List.of(
                List.of(
                    0L,
                    "customer-42",
                    "order.placed",
                    "{\"n\": 1}",
                    "{\"trace\": \"t\\\"1\"}",
                    true,
                    true),
                java.util.Arrays.asList(
                    1L, "customer-42", null, "\\377x", "{\"h\": \"1\"}", true, true)));
  }

  @Test
  void a_null_payload_is_a_tombstone_and_needs_a_key() {
    database.number("SELECT trunkline.publish('orders', 'k', NULL)");

    assertThat(all().get(0).isTombstone()).isTrue();
    assertThat(all().get(0).message().contentType()).isEmpty();
    assertThatThrownBy(() -> database.number("SELECT trunkline.publish('orders', NULL, NULL)"))
        .hasMessageContaining("key of a tombstone must not be null");
  }

  @Test
  void records_without_a_key_are_spread() {
    database.execute(
        "SELECT trunkline.publish('orders', NULL, i::text) FROM generate_series(1, 400) AS i");

    Map<Integer, Long> counts =
        all().stream()
            .collect(Collectors.groupingBy(TopicRecord::partition, Collectors.counting()));
    assertThat(counts.keySet()).containsExactly(0, 1, 2, 3);
    assertThat(counts.values()).allMatch(count -> count > 40);
  }

  @Test
  void a_publish_is_part_of_the_callers_transaction() throws Exception {
    try (Connection connection = database.connect();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      statement.execute("SELECT trunkline.publish('orders', 'k', 'gone')");
      connection.rollback();
      statement.execute("SELECT trunkline.publish('orders', 'k', 'kept')");
      assertThat(all()).isEmpty();
      connection.commit();
    }

    assertThat(all()).extracting(record -> record.message().text()).containsExactly("kept");
  }

  @Test
  void what_java_refuses_sql_refuses() {
    String long1000 = "😀".repeat(500);
    database.number(
        "SELECT trunkline.publish('orders', ?, ?, NULL, ?, ?)",
        long1000,
        "x".repeat(1000),
        long1000,
        long1000);
    topic.publish(Message.text("x".repeat(1000)).withKey(long1000).withType(long1000));

    assertRefused(
        "SELECT trunkline.publish('orders', 'k', repeat('ä', 501))",
        "payload of 1002 bytes is over the limit of topic \"orders\": 1000");
    assertRefused(
        "SELECT trunkline.publish('orders', repeat('€', 667), 'x')",
        "key must be at most 2000 bytes in UTF-8: 2001");
    assertRefused(
        "SELECT trunkline.publish('orders', repeat('😀', 501), 'x')",
        "key must be at most 1000 characters: 1002");
    assertRefused(
        "SELECT trunkline.publish('orders', 'k', 'x', type => repeat('t', 1001))",
        "type must be at most 1000 characters: 1001");
    assertRefused(
        "SELECT trunkline.publish('orders', 'k', 'x', content_type => repeat('t', 1001))",
        "content_type must be at most 1000");
    assertRefused(
        "SELECT trunkline.publish('orders', 'k', 'x', headers => '[1]')",
        "headers must be a JSON object");
    assertRefused(
        "SELECT trunkline.publish('orders', 'k', 'x', source_at => '10000-01-01T00:00:00Z')",
        "source_at must be between the years 1 and 9999");
    assertRefused("SELECT trunkline.publish('none', 'k', 'x')", "topic \"none\" does not exist");
    assertRefused("SELECT * FROM trunkline.records('none', 0)", "topic \"none\" does not exist");
    assertRefused(
        "SELECT * FROM trunkline.records('orders', 4)", "partition must be between 0 and 3: 4");
    assertRefused("SELECT * FROM trunkline.records('orders', 0, 77)", "offset 77 is out of range");
    assertRefused("SELECT * FROM trunkline.records('orders', 0, -1)", "offset -1 is out of range");
    assertRefused(
        "SELECT * FROM trunkline.records('orders', 0, 0, 0)",
        "max_records must be between 1 and 10000: 0");
    assertThat(all()).hasSize(2);
  }

  private void assertRefused(String sql, String message) {
    assertThatThrownBy(() -> database.rows(sql)).as(sql).hasMessageContaining(message);
  }

  @Test
  void records_are_read_from_any_offset_in_order() {
    topic.publishAll(
        IntStream.range(0, 1000).mapToObj(i -> Message.text("" + i).withKey("k")).toList());
    int partition = Partitioner.partitionOf("k", 4);
    topic.endOffsets();

    assertThat(
            database.texts(
                "SELECT payload FROM trunkline.records('orders', ?, 395, 10)", partition))
        .isEqualTo(IntStream.range(395, 405).mapToObj(Integer::toString).toList());
    assertThat(database.texts("SELECT \"offset\" FROM trunkline.records('orders', ?)", partition))
        .isEqualTo(IntStream.range(0, 100).mapToObj(Integer::toString).toList());
    assertThat(
            database.texts(
                "SELECT payload FROM trunkline.records('orders', ?, 1000, 10)", partition))
        .isEmpty();
  }

  @Test
  void a_topic_is_seen_in_the_views() {
    topic.publishAll(IntStream.range(0, 10).mapToObj(i -> Message.text("x").withKey("k")).toList());
    topic.endOffsets();

    assertThat(
            database.rows(
                """
                SELECT partitions, records, chunks, bytes > 0, newest_append >= oldest_append
                FROM trunkline.topics
                WHERE topic = 'orders'
                """))
        .isEqualTo(List.of(List.of(4, 10L, 2L, true, true)));
    assertThat(
            database.rows(
                """
                SELECT log_start, log_end, records
                FROM trunkline.topic_partitions
                WHERE topic = 'orders' AND partition = ?
                """,
                Partitioner.partitionOf("k", 4)))
        .isEqualTo(List.of(List.of(0L, 10L, 10L)));
  }
}
