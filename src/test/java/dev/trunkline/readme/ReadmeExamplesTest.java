package dev.trunkline.readme;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import dev.trunkline.Trunkline;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.metrics.TrunklineMetrics;
import dev.trunkline.queue.Cancellation;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.readme.ReadmeExamples.CsvCodec;
import dev.trunkline.readme.ReadmeExamples.Order;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.SharedConsumer;
import dev.trunkline.topic.SharedGroup;
import dev.trunkline.topic.Subscription;
import dev.trunkline.topic.Topic;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import org.jdbi.v3.core.Jdbi;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The examples of the README do what the README says. */
@PostgresTest
class ReadmeExamplesTest {
  private static final Order ORDER = new Order("A-1", "ann@example.org", 1999);

  private final List<String> mailed = new CopyOnWriteArrayList<>();
  private TestDatabase database;
  private ReadmeExamples examples;

  @BeforeEach
  void makeTheShop() {
    database.execute(
        "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id text, email text, cents bigint)");
    examples =
        new ReadmeExamples(
            database.dataSource(),
            (email, orderId) -> {
              if (email.startsWith("missing")) {
                throw new NoSuchFileException(email);
              }
              if (email.startsWith("broken")) {
                throw new IllegalStateException("no route to " + email);
              }
              mailed.add(orderId);
            });
  }

  @Test
  void the_start_sends_with_the_order_and_handles_what_was_sent() throws Exception {
    CountDownLatch end = new CountDownLatch(1);
    Thread service =
        new Thread(
            () -> {
              try {
                examples.start(ORDER, end);
              } catch (Exception e) {
                mailed.add(e.toString());
              }
            });
    service.start();
    Awaits.until(() -> !mailed.isEmpty());
    end.countDown();
    service.join();

    assertThat(mailed).containsExactly("A-1");
    assertThat(database.number("SELECT count(*) FROM orders")).isEqualTo(1);
    assertThat(database.number("SELECT count(*) FROM trunkline.message")).isZero();
  }

  @Test
  void a_trunkline_is_opened_in_each_of_the_three_ways() {
    examples.open(database.url(), database.user(), database.password());
  }

  @Test
  void a_queue_is_declared_and_altered() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      examples.declare(trunkline);

      QueueConfig config = trunkline.queue("emails").config();
      assertThat(config.visibilityTimeout()).isEqualTo(Duration.ofMinutes(2));
      assertThat(config.retryPolicy().maxDeliveries()).isEqualTo(10);
      assertThat(config.retryPolicy().maxDelay()).isEqualTo(Duration.ofMinutes(10));
    }
  }

  @Test
  void metrics_are_bound_with_tags_of_the_services_own() {
    MeterRegistry registry = new SimpleMeterRegistry();
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      emails(trunkline);
      try (TrunklineMetrics metrics = examples.measure(trunkline, registry)) {
        assertThat(metrics).isNotNull();
        assertThat(
                registry
                    .get("trunkline.queue.ready")
                    .tags("queue", "emails", "service", "shop")
                    .gauge()
                    .value())
            .isZero();
      }
    }
    assertThat(registry.getMeters()).isEmpty();
  }

  @Test
  void the_messages_of_a_key_come_in_order() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue accounts = examples.orderByKey(trunkline);

      assertThat(accounts.receive(1).get(0).message().text()).isEqualTo("deposit 10");
      assertThat(accounts.receive(1)).isEmpty();
    }
  }

  @Test
  void one_and_many_are_sent() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);
      List<Order> orders =
          IntStream.range(0, 300).mapToObj(i -> new Order("B-" + i, "bob@example.org", i)).toList();

      List<MessageId> ids = examples.send(emails, orders);

      assertThat(ids).hasSize(301).doesNotHaveDuplicates();
      assertThat(emails.stats().ready()).isEqualTo(301);
    }
  }

  @Test
  void flow_is_controlled_as_shown() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Consumer standby = examples.control(trunkline);

      Awaits.until(standby::isActive);
      assertThat(standby.isPaused()).isFalse();
      assertThat(trunkline.queue("calls").receive(1)).hasSize(1);
      standby.close();
      trunkline.queue("calls").purge();
    }
  }

  @Test
  void a_message_carries_what_it_was_given() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);
      Message message = examples.message(ORDER, Instant.parse("2030-01-07T08:00:00Z"));

      emails.send(message);
      emails.send(message.withDelay(Duration.ZERO));

      Message received = emails.receive(10).get(0).message();
      assertThat(received.json(Order.class)).isEqualTo(ORDER);
      assertThat(received.key()).contains("A-1");
      assertThat(received.type()).contains("order.placed");
      assertThat(received.headers()).containsExactly(entry("trace", "4bf92f35"));
      assertThat(received.priority()).isEqualTo(5);
      assertThat(emails.stats().scheduled()).isEqualTo(1);
    }
  }

  @Test
  void a_payment_is_sent_once_put_off_and_cancelled() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      assertThat(examples.sendOnce(trunkline, ORDER)).isEqualTo(Cancellation.CANCELLED);
      assertThat(trunkline.queue("payments").stats().sent()).isEqualTo(1);
    }
  }

  @Test
  void an_import_goes_on_where_it_was() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue payments = emails(trunkline);
      examples.sendInOrder(payments, List.of(ORDER));
      examples.sendInOrder(payments, List.of(ORDER, ORDER, ORDER));
      assertThat(payments.stats().sent()).isEqualTo(3);
    }
  }

  @Test
  void a_handle_of_jdbi_sends_in_its_transaction() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);

      examples.sendWithJdbi(Jdbi.create(database.dataSource()), emails, ORDER);

      assertThat(emails.receive(1).get(0).message().json(Order.class)).isEqualTo(ORDER);
      assertThat(database.number("SELECT count(*) FROM orders")).isEqualTo(1);
    }
  }

  @Test
  void a_codec_writes_and_reads() {
    Message message = Message.of(ORDER, new CsvCodec());

    assertThat(message.contentType()).contains("text/csv");
    assertThat(message.as(Order.class, new CsvCodec())).isEqualTo(ORDER);
  }

  @Test
  void each_outcome_leads_where_the_comment_says() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);
      Message unreadable = Message.text("{");
      Message blank = Message.json(new Order("A-2", " ", 1));
      Message missing = Message.json(new Order("A-3", "missing@example.org", 1));
      Message broken = Message.json(new Order("A-4", "broken@example.org", 1));
      emails.sendAll(List.of(Message.json(ORDER), unreadable, blank, missing, broken));

      try (Consumer consumer = examples.consume(emails)) {
        Awaits.until(() -> emails.stats().dead() == 3 && emails.stats().acked() == 1);
        assertThat(consumer.queue()).isEqualTo("emails");
      }

      assertThat(mailed).containsExactly("A-1");
      assertThat(emails.deadLetters().browse(10))
          .extracting(letter -> letter.reason())
          .containsExactlyInAnyOrder(
              DeathReason.UNREADABLE, DeathReason.REJECTED, DeathReason.NON_RETRYABLE);
      // By one look: it may become ready between two.
      QueueStats stats = emails.stats();
      assertThat(stats.ready() + stats.scheduled()).isEqualTo(1);
    }
  }

  @Test
  void a_batch_is_received_and_acknowledged() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);
      emails.sendAll(List.of(Message.json(ORDER), Message.json(ORDER)));

      assertThat(examples.receive(emails)).isEqualTo(2);
      assertThat(emails.stats().acked()).isEqualTo(2);
    }
  }

  @Test
  void each_delivery_is_settled_as_the_comment_says() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);
      for (String type : List.of("placed", "report", "draft", "change", "other")) {
        emails.send(Message.text(type).withType("order." + type));
      }

      examples.settleOneByOne(emails);

      QueueStats stats = emails.stats();
      assertThat(stats.acked()).isEqualTo(1);
      assertThat(stats.inFlight()).isEqualTo(1);
      assertThat(stats.ready()).isEqualTo(1);
      assertThat(stats.scheduled()).isEqualTo(1);
      assertThat(stats.dead()).isEqualTo(1);
    }
  }

  @Test
  void an_order_is_stored_and_its_mail_sent_together_with_the_ack() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue orders = trunkline.queue("orders", QueueConfig.defaults());
      Queue emails = emails(trunkline);
      orders.send(Message.json(ORDER));

      try (Consumer consumer = examples.consumeTransactionally(orders, emails)) {
        Awaits.until(() -> orders.stats().acked() == 1);
        assertThat(consumer.queue()).isEqualTo("orders");
      }

      assertThat(database.number("SELECT count(*) FROM orders")).isEqualTo(1);
      assertThat(emails.stats().ready()).isEqualTo(1);
    }
  }

  @Test
  void a_pulled_order_is_stored_together_with_its_ack() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue orders = trunkline.queue("orders", QueueConfig.defaults());
      orders.sendAll(List.of(Message.json(ORDER), Message.json(ORDER)));

      examples.ackInTransaction(orders);

      assertThat(orders.stats().acked()).isEqualTo(2);
      assertThat(database.number("SELECT count(*) FROM orders")).isEqualTo(2);
    }
  }

  @Test
  void one_event_reaches_every_group() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Topic orders = examples.publish(trunkline, ORDER);
      List<Subscription> groups = examples.subscribe(orders);
      Awaits.until(() -> !mailed.isEmpty());
      Awaits.until(() -> database.number("SELECT count(*) FROM orders") == 2);
      groups.forEach(Subscription::close);

      assertThat(mailed).containsExactly("A-1");
      assertThat(examples.pollTopic(orders)).isEqualTo(1);
      assertThat(examples.operateTopic(orders)).isBetween(0L, 1L);
      orders.delete();
    }
  }

  @Test
  void a_shared_group_acks_each_record_by_itself() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Topic orders = examples.publish(trunkline, ORDER);
      orders.publish(Message.json(new Order("A-2", " ", 1)).withKey("A-1"));
      orders.publish(Message.json(new Order("A-3", "cy@example.org", 1)).withKey("A-1"));

      SharedGroup labels = examples.consumeShared(orders);

      Awaits.until(() -> labels.lag().stream().allMatch(lag -> lag.records() == 0));
      assertThat(mailed).containsExactlyInAnyOrder("A-1", "A-3");
      assertThat(labels.deadLetters().browse(10))
          .extracting(letter -> letter.detail().orElseThrow())
          .containsExactly("no address");
      orders.delete();
    }
  }

  @Test
  void a_record_of_a_shared_group_is_stored_once_with_its_ack() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Topic orders = examples.publish(trunkline, ORDER);

      try (SharedConsumer consumer = examples.consumeSharedTransactionally(orders)) {
        Awaits.until(() -> database.number("SELECT count(*) FROM orders") == 2);
        assertThat(consumer.group()).isEqualTo("invoices");
      }
      assertThat(orders.group("invoices").lagInRecords()).isZero();
      orders.delete();
    }
  }

  @Test
  void a_metric_is_delivered_at_most_once_pushed_or_pulled() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue metrics = trunkline.queue("metrics", QueueConfig.defaults());
      metrics.sendAll(List.of(Message.text("cpu"), Message.text("missing")));

      try (Consumer consumer = examples.consumeAtMostOnce(metrics)) {
        Awaits.until(() -> metrics.stats().acked() == 2 && mailed.contains("metric"));
        assertThat(consumer.queue()).isEqualTo("metrics");
      } catch (NoSuchFileException e) {
        assertThat(e).hasMessageContaining("missing");
      }

      assertThat(metrics.stats().dead() + metrics.stats().ready()).isZero();
    }
  }

  @Test
  void an_order_that_is_delivered_again_is_stored_once() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue orders = trunkline.queue("orders", QueueConfig.defaults());
      MessageId id = orders.send(Message.json(ORDER));
      orders.send(Message.json(ORDER));
      // The first was handled before, by a process that died before its ack.
      database.execute(
          "INSERT INTO trunkline.inbox (forget_at, consumer, key) VALUES (now() + interval '1 day',"
              + " 'billing', ?)",
          String.valueOf(id.value()));

      try (Consumer consumer = examples.consumeWithInbox(trunkline, orders)) {
        Awaits.until(() -> orders.stats().acked() == 2);
        assertThat(consumer.isClosed()).isFalse();
      }

      assertThat(database.number("SELECT count(*) FROM orders")).isEqualTo(1);
    }
  }

  @Test
  void dead_letters_are_looked_at_and_replayed() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);
      emails.sendAll(List.of(Message.text("one"), Message.text("two"), Message.text("three")));
      emails.receive(10).forEach(delivery -> delivery.deadLetter("because"));

      examples.deadLetters(emails);

      assertThat(emails.stats().dead()).isZero();
      assertThat(emails.receive(10)).extracting(Delivery::attempt).containsExactly(1, 1, 1);
    }
  }

  @Test
  void a_queue_is_looked_at_emptied_and_deleted() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource())) {
      Queue emails = emails(trunkline);
      emails.sendAll(
          List.of(Message.text("now"), Message.text("later").withDelay(Duration.ofHours(1))));

      QueueStats stats = examples.operate(trunkline, emails);

      assertThat(stats.paused()).isTrue();
      assertThat(stats.ready()).isEqualTo(1);
      assertThat(stats.scheduled()).isEqualTo(1);
      assertThat(trunkline.queueNames()).isEmpty();
    }
  }

  private static Queue emails(Trunkline trunkline) {
    return trunkline.queue("emails", QueueConfig.defaults());
  }
}
