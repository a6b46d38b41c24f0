package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.message.Codec;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.math.BigInteger;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.jdbi.v3.core.Jdbi;
import org.junit.jupiter.api.Test;

class SendTest extends QueueFixture {
  private static final int LIMIT = QueueConfig.DEFAULT_MAX_PAYLOAD_BYTES;

  record Order(int id, String customer, List<String> items) {}

  @Test
  void headers_of_any_characters_arrive_as_they_were_sent() {
    Map<String, String> odd =
        Map.of(
            "quote", "\"",
            "comma,", ",,",
            "{brace}", "}{",
            "back\\slash", "\\\\\"\\",
            "größe 😀", "日本語",
            "empty", "",
            "NULL", "NULL",
            " space ", "\ttab\r\nline ",
            "apostrophe'", "''; --");
    queue.sendAll(
        List.of(
            Message.text("none"),
            Message.text("odd").withHeaders(odd),
            Message.text("empty name").withHeader("", "value")));

    List<Delivery> received = queue.receive(10);

    assertThat(received)
        .extracting(delivery -> delivery.message().headers())
        .containsExactly(Map.of(), odd, Map.of("", "value"));
  }

  @Test
  void key_type_and_content_type_arrive_as_they_were_sent_or_not_at_all() {
    queue.sendAll(
        List.of(
            Message.bytes(new byte[] {1}),
            Message.bytes(new byte[] {2})
                .withKey("k,\"{}\\ü")
                .withType("")
                .withContentType("NULL")));

    List<Delivery> received = queue.receive(10);

    Message bare = received.get(0).message();
    assertThat(bare.key()).isEmpty();
    assertThat(bare.type()).isEmpty();
    assertThat(bare.contentType()).isEmpty();
    assertThat(bare.priority()).isZero();
    Message dressed = received.get(1).message();
    assertThat(dressed.key()).contains("k,\"{}\\ü");
    assertThat(dressed.type()).contains("");
    assertThat(dressed.contentType()).contains("NULL");
  }

  @Test
  void bytes_of_every_value_arrive_as_they_were_sent() {
    byte[] all = new byte[256];
    for (int i = 0; i < all.length; i++) {
      all[i] = (byte) i;
    }

    queue.send(Message.bytes(all));

    assertThat(receiveOne().message().payload()).isEqualTo(all);
  }

  @Test
  void an_empty_payload_is_a_payload() {
    queue.send(Message.bytes(new byte[0]));

    assertThat(receiveOne().message().payload()).isEmpty();
  }

  @Test
  void text_may_hold_what_a_text_column_may_not() {
    send("before\0after, ünïcödé 😀");

    assertThat(receiveOne().message().text()).isEqualTo("before\0after, ünïcödé 😀");
  }

  @Test
  void json_is_read_as_the_type_that_was_written() {
    Order order = new Order(7, "Ada", List.of("tea", "milk"));

    queue.send(Message.json(order));

    Message received = receiveOne().message();
    assertThat(received.contentType()).contains("application/json");
    assertThat(received.json(Order.class)).isEqualTo(order);
  }

  @Test
  void a_codec_of_the_callers_writes_and_reads() {
    queue.send(Message.of(new BigInteger("123456789012345678901234567890"), new BigIntegers()));

    Message received = receiveOne().message();
    assertThat(received.contentType()).contains("application/x-big-integer");
    assertThat(received.as(BigInteger.class, new BigIntegers()))
        .isEqualTo(new BigInteger("123456789012345678901234567890"));
  }

  @Test
  void a_payload_of_exactly_the_limit_is_sent() {
    byte[] payload = random(LIMIT);

    queue.send(Message.bytes(payload));

    assertThat(receiveOne().message().payload()).isEqualTo(payload);
  }

  @Test
  void a_payload_of_one_byte_more_is_refused_with_both_sizes() {
    PayloadTooLargeException refused =
        catchThrowableOfType(
            PayloadTooLargeException.class, () -> queue.send(Message.bytes(new byte[LIMIT + 1])));

    assertThat(refused)
        .hasMessageContaining("orders")
        .hasMessageContaining(String.valueOf(LIMIT + 1))
        .hasMessageContaining(String.valueOf(LIMIT));
    assertThat(refused.destination()).isEqualTo("orders");
    assertThat(refused.bytes()).isEqualTo(LIMIT + 1);
    assertThat(refused.maxBytes()).isEqualTo(LIMIT);
    assertThat(count("message")).isZero();
  }

  @Test
  void the_limit_is_the_queues_own_and_counts_bytes_not_characters() {
    Queue small = altered(CONFIG.withMaxPayloadBytes(4));

    small.send(Message.text("üü"));

    assertThatThrownBy(() -> small.send(Message.text("üüa")))
        .isInstanceOf(PayloadTooLargeException.class)
        .hasMessageContaining("5 bytes");
    assertThatThrownBy(() -> database.text("SELECT trunkline.send('orders', 'üüa')"))
        .hasMessageContaining("5 bytes")
        .hasMessageContaining("4 bytes");
    assertThat(count("message")).isEqualTo(1);
  }

  @Test
  void nothing_is_sent_if_the_last_of_five_thousand_is_too_large() {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < 4_999; i++) {
      messages.add(Message.text("m" + i));
    }
    messages.add(Message.bytes(new byte[LIMIT + 1]));

    assertThatThrownBy(() -> queue.sendAll(messages)).isInstanceOf(PayloadTooLargeException.class);

    assertThat(count("message")).isZero();
    assertThat(count("ready")).isZero();
    assertThat(queue.stats().sent()).isZero();
  }

  @Test
  void nothing_is_sent_if_one_of_few_is_missing() {
    List<Message> messages = Arrays.asList(Message.text("a"), null, Message.text("b"));

    assertThatThrownBy(() -> queue.sendAll(messages)).isInstanceOf(NullPointerException.class);

    assertThat(count("message")).isZero();
  }

  @Test
  void ids_are_in_the_order_of_the_messages_whatever_their_delays_and_priorities() {
    Random random = new Random(7);
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < 4_500; i++) {
      Message message = Message.text("m" + i).withPriority(random.nextInt(10));
      messages.add(
          random.nextInt(3) == 0
              ? message.withDelay(Duration.ofHours(1 + random.nextInt(5)))
              : message);
    }

    List<MessageId> ids = queue.sendAll(messages);

    Map<Long, String> stored = new HashMap<>();
    database
        .rows("SELECT id, convert_from(payload, 'UTF8') || ' ' || priority FROM trunkline.message")
        .forEach(row -> stored.put((Long) row.get(0), String.valueOf(row.get(1))));
    assertThat(ids).hasSize(4_500).doesNotHaveDuplicates();
    for (int i = 0; i < ids.size(); i++) {
      assertThat(stored.get(ids.get(i).value()))
          .isEqualTo("m" + i + " " + messages.get(i).priority());
    }
    assertThat(count("scheduled"))
        .isEqualTo(messages.stream().filter(m -> m.delay().isPresent()).count());
  }

  @Test
  void sending_nothing_is_allowed_and_does_nothing() throws SQLException {
    assertThat(queue.sendAll(List.of())).isEmpty();
    try (Connection connection = database.connect()) {
      assertThat(queue.sendAll(connection, List.of())).isEmpty();
    }
    assertThat(queue.stats().sent()).isZero();
  }

  @Test
  void messages_may_come_from_something_that_can_be_read_only_once() {
    Stream<Message> once =
        Stream.iterate(0, i -> i + 1).limit(2_500).map(i -> Message.text("m" + i));

    List<MessageId> ids = queue.sendAll(once::iterator);

    assertThat(ids).hasSize(2_500);
    assertThat(queue.stats().ready()).isEqualTo(2_500);
  }

  @Test
  void a_large_and_many_small_payloads_go_in_one_call() {
    List<Message> messages = new ArrayList<>();
    byte[] large = random(LIMIT);
    for (int i = 0; i < 300; i++) {
      messages.add(i % 100 == 50 ? Message.bytes(large) : Message.text("m" + i));
    }

    List<MessageId> ids = queue.sendAll(messages);

    List<Delivery> received = queue.receive(upTo(1_000));
    assertThat(ids(received)).isEqualTo(ids);
    assertThat(received.get(150).message().payload()).isEqualTo(large);
  }

  @Test
  void what_a_caller_rolls_back_was_never_sent() throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      queue.sendAll(
          connection, List.of(Message.text("a"), Message.text("b").withDelay(Duration.ofHours(1))));
      connection.rollback();
    }

    assertThat(count("message")).isZero();
    assertThat(queue.stats().sent()).isZero();
  }

  @Test
  void what_goes_back_to_a_savepoint_was_never_sent_and_the_rest_was() throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      queue.send(connection, Message.text("kept"));
      var savepoint = connection.setSavepoint();
      queue.send(connection, Message.text("dropped"));
      connection.rollback(savepoint);
      queue.send(connection, Message.text("kept too"));
      connection.commit();
    }

    assertThat(texts(queue.receive(10))).containsExactly("kept", "kept too");
  }

  @Test
  void the_callers_connection_is_left_as_it_was() throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      queue.send(connection, Message.text("a"));

      assertThat(connection.isClosed()).isFalse();
      assertThat(connection.getAutoCommit()).isFalse();
      assertThat(connection.getTransactionIsolation())
          .isEqualTo(Connection.TRANSACTION_SERIALIZABLE);
      assertThat(count("message")).as("committed").isZero();
      connection.commit();
    }
    assertThat(count("message")).isEqualTo(1);
  }

  @Test
  void a_connection_in_auto_commit_mode_sends_at_once() throws SQLException {
    try (Connection connection = database.connect()) {
      queue.send(connection, Message.text("a"));

      assertThat(count("message")).isEqualTo(1);
      assertThat(connection.getAutoCommit()).isTrue();
    }
  }

  @Test
  void a_refused_payload_leaves_the_callers_transaction_alive() throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      queue.send(connection, Message.text("before"));
      assertThatThrownBy(() -> queue.send(connection, Message.bytes(new byte[LIMIT + 1])))
          .isInstanceOf(PayloadTooLargeException.class);
      queue.send(connection, Message.text("after"));
      connection.commit();
    }

    assertThat(texts(queue.receive(10))).containsExactly("before", "after");
  }

  @Test
  void a_transaction_that_has_failed_refuses_to_send_with_the_servers_word() throws SQLException {
    try (Connection connection = database.connect();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      assertThatThrownBy(() -> statement.execute("SELECT 1 / 0")).isInstanceOf(SQLException.class);

      assertThatThrownBy(() -> queue.send(connection, Message.text("a")))
          .isInstanceOf(dev.trunkline.error.DatabaseException.class)
          .extracting(e -> ((dev.trunkline.error.DatabaseException) e).sqlState().orElse(""))
          .isEqualTo("25P02");
      connection.rollback();
    }
  }

  @Test
  void order_holds_on_a_callers_connection_whatever_its_planner_settings() throws SQLException {
    for (String setting :
        List.of("enable_hashagg = off", "work_mem = '64kB'", "enable_sort = off")) {
      try (Connection connection = database.connect();
          Statement statement = connection.createStatement()) {
        statement.execute("SET " + setting);
        connection.setAutoCommit(false);
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
          messages.add(Message.text("m" + i));
        }
        List<MessageId> ids = queue.sendAll(connection, messages);
        connection.commit();

        List<Delivery> received = queue.receive(upTo(500));

        assertThat(ids(received)).as(setting).isEqualTo(ids);
        queue.ackAll(received);
      }
    }
  }

  @Test
  void a_handle_in_a_transaction_rolls_back_what_was_sent_on_it() {
    Jdbi jdbi = Jdbi.create(database.dataSource());

    assertThatThrownBy(
            () ->
                jdbi.useTransaction(
                    handle -> {
                      queue.send(handle, Message.text("a"));
                      throw new IllegalStateException("the order is refused");
                    }))
        .hasMessage("the order is refused");

    assertThat(count("message")).isZero();
  }

  @Test
  void sql_refuses_what_java_refuses() {
    assertThatThrownBy(() -> database.text("SELECT trunkline.send('nowhere', 'a')"))
        .hasMessageContaining("queue \"nowhere\" does not exist");
    assertThatThrownBy(() -> database.text("SELECT trunkline.send('orders', NULL)"))
        .hasMessageContaining("payload must not be null");
    assertThatThrownBy(() -> database.text("SELECT trunkline.send('orders', 'a', priority => 10)"))
        .hasMessageContaining("priority must be between 0 and 9: 10");
    assertThatThrownBy(
            () -> database.text("SELECT trunkline.send('orders', 'a', headers => '[1]')"))
        .hasMessageContaining("headers must be a JSON object: [1]");
    assertThatThrownBy(
            () -> database.text("SELECT trunkline.send('orders', 'a', priority => NULL)"))
        .hasMessageContaining("priority must be between 0 and 9");
    assertThatThrownBy(
            () -> database.text("SELECT trunkline.send('orders', 'a', delay => '3651 days')"))
        .hasMessageContaining("delay must be at most 3650 days: 3651 days");
    for (String column : List.of("key", "type", "content_type")) {
      assertThatThrownBy(
              () ->
                  database.text(
                      "SELECT trunkline.send('orders', 'a', %s => repeat('ü', 1001))"
                          .formatted(column)))
          .hasMessageContaining("at most 1000 characters");
    }
    assertThat(count("message")).isZero();
  }

  @Test
  void headers_of_any_json_from_sql_arrive_as_text() {
    database.text(
        "SELECT trunkline.send('orders', 'a', headers => '{\"n\": 1, \"o\": {\"x\": null}, \"z\": null}')");

    assertThat(receiveOne().message().headers())
        .isEqualTo(Map.of("n", "1", "o", "{\"x\": null}", "z", ""));
  }

  private static byte[] random(int size) {
    byte[] bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    return bytes;
  }

  private static final class BigIntegers implements Codec {
    @Override
    public String contentType() {
      return "application/x-big-integer";
    }

    @Override
    public byte[] encode(Object value) {
      return ((BigInteger) value).toByteArray();
    }

    @Override
    public <T> T decode(byte[] payload, Class<T> type) {
      return type.cast(new BigInteger(payload));
    }
  }
}
