package dev.trunkline.queue;

import static dev.trunkline.queue.Cancellation.CANCELLED;
import static dev.trunkline.queue.Cancellation.TOO_LATE;
import static dev.trunkline.queue.Rescheduling.RESCHEDULED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.QueueFullException;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Order by key together with every other rule a queue may have: expiry, deduplication, taking back,
 * bounds, rates, a single active consumer, pauses, dead letters.
 */
class KeyedRulesTest extends QueueFixture {
  private static final Duration HOUR = Duration.ofHours(1);
  private static final QueueConfig FIFO = CONFIG.withFifoByKey(FailurePolicy.SKIP);

  private Queue fifo;

  @BeforeEach
  void declare_the_fifo_queue() {
    fifo = trunkline.queue("fifo", FIFO);
  }

  private Queue ruled(QueueConfig config) {
    return trunkline.alterQueue("fifo", config);
  }

  private static Message of(String key, String text) {
    return Message.text(text).withKey(key);
  }

  private static List<Message> numbers(String key, int count) {
    return IntStream.range(0, count).mapToObj(i -> of(key, String.valueOf(i))).toList();
  }

  private List<String> received(int maxMessages) {
    return texts(fifo.receive(maxMessages));
  }

  private List<String> drained(int count) {
    List<String> texts = new ArrayList<>();
    Awaits.until(
        () -> {
          for (Delivery delivery : fifo.receive(10)) {
            texts.add(delivery.message().text());
            delivery.ack();
          }
          return texts.size() >= count;
        });
    return texts;
  }

  @Test
  void what_expires_in_the_middle_of_a_key_leaves_the_others_in_order() {
    fifo = ruled(FIFO.withTimeToLive(HOUR.multipliedBy(9), ExpiredMessages.DEAD_LETTER));
    fifo.sendAll(List.of(of("a", "1"), of("a", "2").withTimeToLive(HOUR), of("a", "3")));
    fifo.send(of("b", "4").withTimeToLive(HOUR).withDelay(Duration.ofMinutes(50)));

    sweeper().sweep(Instant.now().plus(HOUR.multipliedBy(2)));

    assertThat(fifo.stats().expired()).isEqualTo(2);
    assertThat(fifo.deadLetters().browse(10))
        .allSatisfy(letter -> assertThat(letter.reason()).isEqualTo(DeathReason.EXPIRED))
        .extracting(letter -> letter.message().text())
        .containsExactlyInAnyOrder("2", "4");
    assertThat(received(10)).containsExactly("1", "3");
  }

  @Test
  void a_key_whose_last_message_expires_in_line_leaves_nothing_behind() {
    fifo.send(of("a", "1").withTimeToLive(HOUR));
    sweeper().sweep(Instant.now().plus(HOUR.multipliedBy(2)));

    assertThat(fifo.receive(10)).isEmpty();
    Awaits.until(() -> fifo.receive(10).isEmpty() && left("turn") + left("turn_later") == 0);
    assertThat(left("open_key") + left("key_mark")).isZero();
    fifo.send(of("a", "2"));
    assertThat(received(10)).containsExactly("2");
  }

  private long left(String table) {
    return database.number("SELECT count(*) FROM trunkline." + table);
  }

  @Test
  void what_is_over_when_it_is_claimed_is_not_delivered_and_holds_up_nothing() {
    fifo.sendAll(
        List.of(of("a", "1").withTimeToLive(Duration.ofMillis(1)), of("a", "2"), of("a", "3")));
    database.execute(
        "UPDATE trunkline.message SET expires_at = clock_timestamp() - interval '1 second' WHERE expires_at IS NOT NULL");

    assertThat(drained(2)).containsExactly("2", "3");
    assertThat(fifo.stats().expired()).isOne();
  }

  @Test
  void what_expires_while_it_waits_for_a_handler_is_skipped_and_those_behind_it_come_in_order()
      throws InterruptedException {
    CountDownLatch release = new CountDownLatch(1);
    List<String> handled = new CopyOnWriteArrayList<>();
    fifo.sendAll(
        List.of(of("a", "1"), of("a", "2").withTimeToLive(Duration.ofMillis(900)), of("a", "3")));
    try (Consumer consumer =
        fifo.consume(
            handlers(4),
            delivery -> {
              handled.add(delivery.message().text());
              if (handled.size() == 1) {
                release.await();
              }
              return Outcome.ack();
            })) {
      Awaits.until(() -> !handled.isEmpty());
      assertThat(fifo.stats().inFlight()).as("they are claimed together").isEqualTo(3);
      Awaits.until(
          () ->
              database.number(
                      "SELECT count(*) FROM trunkline.message WHERE expires_at < clock_timestamp() - interval '50 ms'")
                  > 0);
      release.countDown();
      Awaits.until(() -> handled.size() == 2 && count("message") == 0);
      assertThat(consumer.isClosed()).isFalse();
    }
    assertThat(handled).containsExactly("1", "3");
    assertThat(fifo.stats().expired()).isOne();
  }

  @Test
  void a_duplicate_is_answered_with_the_first_and_takes_no_place_in_its_key() throws SQLException {
    fifo = ruled(FIFO.withDeduplication());
    MessageId first = fifo.send(of("a", "1").withDeduplicationId("x"));
    List<MessageId> more =
        fifo.sendAll(
            List.of(
                of("a", "1").withDeduplicationId("x"),
                of("a", "2"),
                of("b", "3").withDeduplicationId("y")));
    assertThat(more.get(0)).isEqualTo(first);
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      assertThat(fifo.send(connection, of("b", "3").withDeduplicationId("y")))
          .isEqualTo(more.get(2));
      fifo.send(connection, of("a", "4").withDeduplicationId("z"));
      connection.commit();
    }
    assertThat(
            database.number(
                "SELECT trunkline.send('fifo', '1', key => 'a', deduplication_id => 'x')"))
        .isEqualTo(first.value());
    database.execute("SELECT trunkline.send('fifo', '5', key => 'a', deduplication_id => 'w')");

    assertThat(drained(5))
        .containsExactlyInAnyOrder("1", "2", "3", "4", "5")
        .containsSubsequence("1", "2", "4", "5");
    fifo.purge();
    assertThat(fifo.send(of("a", "1").withDeduplicationId("x"))).isNotEqualTo(first);
  }

  @Test
  void deduplication_in_the_scope_of_a_key_lets_keys_be() {
    fifo = ruled(FIFO.withDeduplication(new Deduplication(HOUR, DeduplicationScope.KEY, true)));
    MessageId first = fifo.send(of("a", "same"));

    assertThat(fifo.send(of("b", "same"))).isNotEqualTo(first);
    assertThat(fifo.send(of("a", "same"))).isEqualTo(first);
    assertThat(drained(2)).containsExactly("same", "same");
  }

  @Test
  void a_named_producer_keeps_its_place_and_repeats_nothing() {
    Producer producer = fifo.producer("till");
    assertThat(producer.send(1, of("a", "1"))).isPresent();
    assertThat(producer.send(2, of("a", "2"))).isPresent();

    assertThat(producer.send(1, of("a", "1"))).isEmpty();
    assertThat(drained(2)).containsExactly("1", "2");
  }

  @Test
  void what_is_cancelled_in_the_middle_of_a_key_is_passed_over() {
    List<MessageId> ids = fifo.sendAll(numbers("a", 4));
    Delivery head = fifo.receive(1).get(0);

    assertThat(fifo.cancel(ids.get(0))).isEqualTo(TOO_LATE);
    assertThat(fifo.cancel(ids.get(2))).isEqualTo(CANCELLED);
    assertThat(fifo.cancel(ids.get(2))).isEqualTo(TOO_LATE);

    head.ack();
    assertThat(received(10)).containsExactly("1", "3");
  }

  @Test
  void a_cancelled_head_that_backs_off_holds_up_its_key_no_longer_than_it_would_have() {
    List<MessageId> ids = fifo.sendAll(numbers("a", 2));
    fifo.receive(1).get(0).retry(Duration.ofMillis(200));

    assertThat(fifo.cancel(ids.get(0))).isEqualTo(CANCELLED);

    assertThat(drained(1)).containsExactly("1");
  }

  @Test
  void what_is_put_off_lets_its_key_go_on_and_then_has_the_place_of_its_sending()
      throws SQLException {
    List<MessageId> ids = fifo.sendAll(numbers("a", 4));
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      assertThat(fifo.reschedule(connection, ids.get(1), HOUR)).isEqualTo(RESCHEDULED);
      connection.commit();
    }
    Delivery first = fifo.receive(1).get(0);
    first.ack();
    assertThat(received(1)).containsExactly("2");

    assertThat(promoteAll()).isOne();
    expireAll();

    assertThat(drained(3)).containsExactly("1", "2", "3");
  }

  @Test
  void a_full_queue_blocks_its_senders_and_loses_no_place() {
    fifo =
        ruled(FIFO.withBounds(Bounds.messages(3).withOverflow(Overflow.REJECT).withMaxBytes(99)));
    fifo.sendAll(numbers("a", 3));
    assertThat(fifo.stats().waitingBytes()).isEqualTo(3);
    assertThatThrownBy(() -> fifo.send(of("b", "x"))).isInstanceOf(QueueFullException.class);

    List<Delivery> batch = fifo.receive(2);
    assertThat(fifo.stats().waitingBytes()).isEqualTo(1);
    fifo.sendAll(List.of(of("a", "3"), of("b", "x")));
    batch.get(0).ack();
    batch.get(1).release();
    assertThat(fifo.stats().waitingBytes()).isEqualTo(4);
    assertThatThrownBy(() -> fifo.send(of("b", "y"))).isInstanceOf(QueueFullException.class);

    assertThat(drained(4)).containsSubsequence("1", "2", "3").contains("x");
    assertThat(fifo.stats().waitingBytes()).isZero();
  }

  @Test
  void rules_that_would_break_the_order_are_refused_by_name() {
    assertThatThrownBy(() -> FIFO.withBounds(Bounds.messages(3).withOverflow(Overflow.DROP_OLDEST)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("overflow")
        .hasMessageContaining("DROP_OLDEST");
    assertThatThrownBy(() -> CONFIG.withPriorityAgeing(HOUR).withFairByKey())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("priorityAgeing")
        .hasMessageContaining("PT1H");
    assertThatThrownBy(() -> fifo.receiveAndDelete(upTo(1)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("fifo");
  }

  @Test
  void two_processes_that_keep_to_a_rate_keep_the_order_of_each_key() {
    fifo = ruled(FIFO.withRateLimit(new RateLimit(200, Duration.ofSeconds(1), 10)));
    Map<String, List<String>> handled = new ConcurrentHashMap<>();
    long begin = System.nanoTime();
    for (String key : List.of("a", "b", "c")) {
      fifo.sendAll(numbers(key, 40));
    }
    Handler handler =
        delivery -> {
          handled
              .computeIfAbsent(
                  delivery.message().key().orElseThrow(), k -> new CopyOnWriteArrayList<>())
              .add(delivery.message().text());
          return Outcome.ack();
        };
    try (Consumer one = fifo.consume(handlers(3), handler);
        Consumer other = open(OPENED).queue("fifo").consume(handlers(3), handler)) {
      Awaits.until(() -> count("message") == 0);
      assertThat(one.queue()).isEqualTo(other.queue());
    }
    assertThat(Duration.ofNanos(System.nanoTime() - begin))
        .as("120 messages, the first 10 at once, at 200 a second")
        .isGreaterThan(Duration.ofMillis(540));
    List<String> inOrder = IntStream.range(0, 40).mapToObj(String::valueOf).toList();
    assertThat(handled).hasSize(3);
    handled.forEach((key, texts) -> assertThat(texts).as(key).isEqualTo(inOrder));
  }

  @Test
  void a_cap_counts_all_that_is_in_flight_over_keys() {
    fifo = ruled(FIFO.withMaxInFlight(3));
    fifo.sendAll(numbers("a", 2));
    fifo.sendAll(numbers("b", 2));

    List<Delivery> first = fifo.receive(10);
    assertThat(first).hasSize(3);
    assertThat(fifo.receive(10)).isEmpty();

    fifo.ackAll(first);
    assertThat(drained(1)).hasSize(1);
  }

  @Test
  void a_single_active_consumer_takes_over_with_the_order_kept() {
    fifo = ruled(FIFO.withSingleActiveConsumer());
    List<String> handled = new CopyOnWriteArrayList<>();
    Handler handler =
        delivery -> {
          handled.add(delivery.message().text());
          return Outcome.ack();
        };
    Consumer active = fifo.consume(handlers(2), handler);
    Awaits.until(active::isActive);
    try (Consumer standby = open(OPENED).queue("fifo").consume(handlers(2), handler)) {
      fifo.sendAll(numbers("a", 50));
      Awaits.until(() -> handled.size() >= 10);
      active.close();
      Awaits.until(standby::isActive);
      Awaits.until(() -> count("message") == 0);
    }
    assertThat(handled.stream().distinct().toList())
        .isEqualTo(IntStream.range(0, 50).mapToObj(String::valueOf).toList());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void a_paused_consumer_finishes_what_it_runs_and_gives_the_rest_of_the_key_back_in_order(
      int concurrency) throws InterruptedException {
    CountDownLatch release = new CountDownLatch(1);
    List<Integer> handled = new CopyOnWriteArrayList<>();
    fifo.sendAll(numbers("a", 3000));
    try (Consumer consumer =
        fifo.consume(
            handlers(concurrency),
            delivery -> {
              handled.add(Integer.valueOf(delivery.message().text()));
              // Fast handlers are fed by large claims: by now several of the key are in hand.
              if (handled.size() == 2000) {
                release.await();
              }
              return Outcome.ack();
            })) {
      Awaits.until(() -> handled.size() == 2000);
      consumer.pause();
      assertThat(fifo.receive(10)).as("the first that is not done is being handled").isEmpty();
      release.countDown();
      Awaits.until(() -> fifo.stats().inFlight() == 0);
      assertThat(handled).hasSize(2000);
      assertThat(fifo.stats().ready()).isEqualTo(1000);

      List<Delivery> elsewhere = fifo.receive(2);
      assertThat(texts(elsewhere)).containsExactly("2000", "2001");
      assertThat(elsewhere.get(0).attempt()).isOne();
      fifo.ackAll(elsewhere);
      consumer.resume();
      Awaits.until(() -> count("message") == 0);
    }
    List<Integer> inOrder = new ArrayList<>(IntStream.range(0, 3000).boxed().toList());
    inOrder.subList(2000, 2002).clear();
    assertThat(handled).isEqualTo(inOrder);
  }

  @Test
  void a_redrive_puts_each_message_back_into_its_old_place_and_keeps_to_the_cap() {
    fifo = ruled(FIFO.withMaxInFlight(2));
    fifo.sendAll(numbers("a", 4));
    List<Delivery> batch = fifo.receive(2);
    batch.forEach(delivery -> delivery.deadLetter("by hand"));
    assertThat(received(1)).containsExactly("2");
    expireAll();
    List<DeadLetter> dead = fifo.deadLetters().browse(10);
    assertThat(dead).extracting(letter -> letter.message().text()).containsExactly("0", "1");

    assertThat(fifo.deadLetters().replayAll()).isEqualTo(2);

    assertThat(fifo.receive(10)).hasSize(2).allSatisfy(d -> assertThat(d.attempt()).isOne());
    expireAll();
    assertThat(drained(4)).containsExactly("0", "1", "2", "3");
  }

  @Test
  void an_expired_message_parks_no_key() {
    fifo =
        ruled(
            CONFIG
                .withFifoByKey(FailurePolicy.PARK)
                .withTimeToLive(HOUR, ExpiredMessages.DEAD_LETTER));
    fifo.sendAll(numbers("a", 2));
    database.execute(
        """
        UPDATE trunkline.message SET expires_at = clock_timestamp() - interval '1 second'
        WHERE id = (SELECT min(id) FROM trunkline.message)
        """);

    assertThat(drained(1)).containsExactly("1");
    assertThat(fifo.parkedKeys(10)).isEmpty();
    assertThat(fifo.deadLetters().browse(10)).hasSize(1);
  }

  @Test
  void tenants_that_share_keep_to_a_cap_and_a_duplicate_of_theirs_takes_no_turn() {
    fifo = trunkline.queue("fair", CONFIG.withFairByKey().withDeduplication().withMaxInFlight(3));
    MessageId first = fifo.send(of("quiet", "q").withDeduplicationId("q"));
    fifo.sendAll(numbers("noisy", 4));

    assertThat(fifo.send(of("quiet", "q").withDeduplicationId("q"))).isEqualTo(first);

    List<Delivery> held = fifo.receive(10);
    assertThat(texts(held)).containsExactlyInAnyOrder("q", "0", "1");
    assertThat(fifo.receive(10)).isEmpty();
    fifo.ackAll(held);
    assertThat(drained(2)).containsExactly("2", "3");
  }

  @Test
  void tenants_that_share_obey_expiry_bounds_and_recall_as_well() {
    fifo = trunkline.queue("fair", CONFIG.withFairByKey().withMaxMessages(5));
    List<MessageId> ids = fifo.sendAll(numbers("noisy", 4));
    fifo.send(of("quiet", "q").withTimeToLive(HOUR));

    assertThat(fifo.cancel(ids.get(3))).isEqualTo(CANCELLED);
    assertThat(fifo.reschedule(ids.get(2), HOUR)).isEqualTo(RESCHEDULED);
    sweeper().sweep(Instant.now().plus(HOUR.multipliedBy(2)));
    assertThat(received(10)).containsExactly("0", "1");
    assertThat(expireAll()).isOne();
    assertThat(promoteAll()).isGreaterThanOrEqualTo(1);
    assertThat(drained(3)).containsExactlyInAnyOrder("0", "1", "2");
    assertThat(fifo.stats().waitingBytes()).isZero();
  }
}
