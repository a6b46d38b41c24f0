package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.QueueFullException;
import dev.trunkline.event.QueuePressure;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class BoundsTest extends QueueFixture {
  private static final Bounds THREE = Bounds.messages(3);

  private void bounded(Bounds bounds) {
    queue = altered(CONFIG.withBounds(bounds));
  }

  @Test
  void a_sender_to_a_full_queue_waits_until_a_consumer_in_any_process_has_made_room()
      throws Exception {
    bounded(THREE);
    Queue elsewhere = open(OPENED).queue("orders");
    sendAll("a", "b", "c");
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      Future<MessageId> fourth = threads.submit(() -> send("d"));
      Awaits.await()
          .during(Duration.ofMillis(200))
          .until(() -> !fourth.isDone() && count("message") == 3);

      elsewhere.receive(1);

      fourth.get(5, TimeUnit.SECONDS);
      Future<MessageId> fifth = threads.submit(() -> send("e"));
      queue.receive(1);
      fifth.get(5, TimeUnit.SECONDS);
      assertThat(texts(queue.receive(10))).containsExactly("c", "d", "e");
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void a_sender_who_has_waited_for_too_long_is_refused_and_nothing_was_sent() {
    bounded(THREE.withMaxWait(Duration.ofMillis(150)));
    sendAll("a", "b");
    long begin = System.nanoTime();

    assertThatThrownBy(() -> sendAll("c", "d"))
        .isInstanceOfSatisfying(
            QueueFullException.class,
            full -> {
              assertThat(full.queue()).isEqualTo("orders");
              assertThat(full.messages()).isEqualTo(2);
              assertThat(full.bytes()).isEqualTo(2);
            })
        .hasMessageContaining("\"orders\" is full");

    assertThat(Duration.ofNanos(System.nanoTime() - begin)).isGreaterThan(Duration.ofMillis(150));
    assertThat(count("message")).isEqualTo(2);
    send("c");
  }

  @Test
  void what_is_scheduled_counts_and_what_is_in_flight_does_not() {
    bounded(THREE.withOverflow(Overflow.REJECT));
    queue.send(Message.text("later").withDelay(Duration.ofHours(1)));
    sendAll("a", "b");
    assertThatThrownBy(() -> send("c")).isInstanceOf(QueueFullException.class);

    queue.receive(2);

    sendAll("c", "d");
    assertThatThrownBy(() -> queue.send(Message.text("e").withDelay(Duration.ofHours(1))))
        .isInstanceOf(QueueFullException.class);
  }

  @Test
  void what_comes_back_from_a_handler_or_from_the_dead_is_never_refused() {
    bounded(Bounds.messages(2).withOverflow(Overflow.REJECT));
    sendAll("a", "b");
    List<Delivery> both = queue.receive(2);
    sendAll("c", "d");

    both.get(0).retry();
    both.get(1).deadLetter("no");
    queue.deadLetters().replayAll();

    assertThat(queue.stats().ready()).isEqualTo(4);
    assertThatThrownBy(() -> send("e")).isInstanceOf(QueueFullException.class);
  }

  @Test
  void in_a_callers_transaction_nobody_waits_and_the_transaction_lives() throws SQLException {
    bounded(THREE);
    try (Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      queue.sendAll(caller, List.of(Message.text("a"), Message.text("b")));
      long begin = System.nanoTime();

      assertThatThrownBy(() -> queue.sendAll(caller, List.of(Message.text("c"), Message.text("d"))))
          .isInstanceOf(QueueFullException.class);

      assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(5));
      queue.send(caller, Message.text("c"));
      assertThatThrownBy(() -> queue.send(caller, Message.text("d")))
          .isInstanceOf(QueueFullException.class);
      caller.commit();
    }
    assertThat(texts(queue.receive(10))).containsExactly("a", "b", "c");
  }

  @Test
  void the_oldest_make_room_whatever_their_priority_and_are_dead_letters() {
    bounded(THREE.withOverflow(Overflow.DROP_OLDEST));
    MessageId first = queue.send(Message.text("1").withPriority(9).withKey("k"));
    sendAll("2", "3");

    sendAll("4", "5");

    List<DeadLetter> dead = queue.deadLetters().browse(10);
    assertThat(dead).extracting(letter -> letter.message().text()).containsExactly("1", "2");
    assertThat(dead).extracting(DeadLetter::reason).containsOnly(DeathReason.OVERFLOW);
    assertThat(dead.get(0).messageId()).isEqualTo(first);
    assertThat(dead.get(0).message().key()).contains("k");
    assertThat(dead.get(0).message().priority()).isEqualTo(9);
    assertThat(dead.get(0).deliveries()).isZero();
    assertThat(texts(queue.receive(10))).containsExactly("3", "4", "5");
    assertThat(queue.stats().dead()).isEqualTo(2);
  }

  @Test
  void of_messages_that_were_sent_together_only_as_many_as_needed_make_room() {
    bounded(Bounds.messages(100).withOverflow(Overflow.DROP_OLDEST));
    sendNumbers(100);
    Delivery retried = queue.receive(1).get(0);
    retried.retry();

    sendNumbers(37);

    assertThat(queue.deadLetters().browse(100))
        .extracting(letter -> letter.message().text())
        .startsWith("1", "2")
        .endsWith("37")
        .hasSize(37);
    assertThat(queue.stats().ready()).isEqualTo(100);
    assertThat(queue.receive(100)).hasSize(100);
  }

  @Test
  void where_nothing_is_ready_to_make_room_nothing_is_dropped_and_the_sender_is_refused()
      throws SQLException {
    bounded(THREE.withOverflow(Overflow.DROP_OLDEST));
    queue.sendAll(Collections.nCopies(2, Message.text("later").withDelay(Duration.ofHours(1))));
    send("a");
    try (Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      assertThatThrownBy(() -> queue.sendAll(caller, List.of(Message.text("b"), Message.text("c"))))
          .isInstanceOf(QueueFullException.class);
      queue.send(caller, Message.text("b"));
      caller.commit();
    }
    assertThat(texts(queue.receive(10))).containsExactly("b");
    assertThat(queue.stats().dead()).isEqualTo(1);
  }

  @Test
  void what_a_caller_has_dropped_and_rolled_back_is_there_and_meanwhile_held_up_nobody()
      throws SQLException {
    bounded(THREE.withOverflow(Overflow.DROP_OLDEST));
    send("a");
    send("b");
    send("c");
    try (Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      queue.send(caller, Message.text("d"));

      assertThat(texts(queue.receive(10))).containsExactly("b", "c");

      caller.rollback();
    }
    Awaits.until(() -> texts(queue.receive(10)).equals(List.of("a")));
    assertThat(queue.stats().dead()).isZero();
  }

  @Test
  void bytes_are_bounded_too() {
    bounded(Bounds.bytes(10).withOverflow(Overflow.REJECT));
    sendAll("12345", "1234");

    assertThatThrownBy(() -> send("12"))
        .isInstanceOfSatisfying(
            QueueFullException.class, full -> assertThat(full.bytes()).isEqualTo(9));

    send("1");
    queue.receive(3).forEach(Delivery::ack);
    assertThat(queue.stats().waitingBytes()).isZero();
    send("1234567890");
  }

  @Test
  void bytes_are_given_back_by_dropping_until_there_is_room() {
    bounded(Bounds.bytes(10).withOverflow(Overflow.DROP_OLDEST));
    for (int i = 0; i < 5; i++) {
      send("" + i + i);
    }

    send("abc");

    assertThat(texts(queue.receive(10))).containsExactly("22", "33", "44", "abc");
  }

  @Test
  void what_would_not_fit_into_an_empty_queue_is_refused_as_an_argument() {
    bounded(THREE.withMaxBytes(10));

    assertThatThrownBy(() -> sendNumbers(4))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("messages")
        .hasMessageContaining("4 messages");
    assertThatThrownBy(() -> send("12345678901"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("11 bytes");
    assertThat(count("message")).isZero();
  }

  @Test
  void sql_senders_keep_to_the_bounds_too() throws SQLException {
    bounded(THREE.withOverflow(Overflow.REJECT));
    String send = "SELECT trunkline.send('orders', 'x')";
    sendAll("a", "b");
    database.text(send);
    try (Connection caller = database.connect();
        Statement statement = caller.createStatement()) {
      assertThatThrownBy(() -> statement.execute(send))
          .isInstanceOf(SQLException.class)
          .hasMessageContaining("queue \"orders\" is full: 3 messages of 3 bytes")
          .extracting(e -> ((SQLException) e).getSQLState())
          .isEqualTo("53400");
    }
    bounded(THREE.withOverflow(Overflow.DROP_OLDEST));
    database.text(send);
    assertThat(texts(queue.receive(10))).containsExactly("b", "x", "x");
  }

  @Test
  void a_process_keeps_its_bound_exactly_with_many_senders_and_loses_nothing() throws Exception {
    int bound = 50;
    int senders = 6;
    int each = 150;
    bounded(Bounds.messages(bound));
    Set<String> handled = ConcurrentHashMap.newKeySet();
    AtomicLong deepest = new AtomicLong();
    ExecutorService threads = Executors.newFixedThreadPool(senders + 1);
    Consumer here = queue.consume(handlers(2), delivery -> handle(delivery, handled));
    Consumer there =
        open(OPENED).queue("orders").consume(handlers(2), delivery -> handle(delivery, handled));
    try {
      List<Future<?>> sending = new ArrayList<>();
      for (int sender = 0; sender < senders; sender++) {
        int number = sender;
        sending.add(
            threads.submit(
                () -> {
                  for (int i = 0; i < each; i++) {
                    send(number + "-" + i);
                    QueueStats stats = queue.stats();
                    deepest.accumulateAndGet(stats.ready() + stats.scheduled(), Math::max);
                  }
                }));
      }
      for (Future<?> future : sending) {
        future.get(60, TimeUnit.SECONDS);
      }
      Awaits.until(() -> handled.size() == senders * each);
    } finally {
      threads.shutdownNow();
      here.close();
      there.close();
    }
    assertThat(deepest.get()).isLessThanOrEqualTo(bound);
  }

  private static Outcome handle(Delivery delivery, Set<String> handled) {
    handled.add(delivery.message().text());
    return Outcome.ack();
  }

  @Test
  void pressure_is_told_in_every_process_before_the_queue_is_full_and_when_it_is_over() {
    List<QueuePressure> here = new CopyOnWriteArrayList<>();
    List<QueuePressure> there = new CopyOnWriteArrayList<>();
    QueueConfig config = CONFIG.withBounds(Bounds.messages(10).withPressureAt(0.8));
    trunkline.alterQueue("orders", config);
    queue = open(listening(here)).queue("orders", config);
    open(listening(there)).queue("orders", config);
    sendNumbers(7);

    send("8");

    Awaits.until(() -> here.size() == 1 && there.size() == 1);
    assertThat(here.get(0)).isEqualTo(new QueuePressure("orders", true, 8, 8, 0.8));
    queue.receive(1).get(0).ack();
    Awaits.await().during(Duration.ofMillis(300)).until(() -> here.size() == 1);
    queue.receive(1).get(0).ack();
    Awaits.until(() -> here.size() == 2 && there.size() == 2);
    // Of the run that was split, the bytes count until it is claimed whole.
    assertThat(there.get(1)).isEqualTo(new QueuePressure("orders", false, 6, 8, 0.6));
    sendNumbers(4);
    Awaits.until(() -> here.size() == 3);
  }

  private static dev.trunkline.TrunklineConfig listening(List<QueuePressure> events) {
    return OPENED
        .withPollInterval(Duration.ofMillis(50))
        .withListener(
            new TrunklineListener() {
              @Override
              public void queuePressure(QueuePressure event) {
                events.add(event);
                throw new IllegalStateException("a listener that fails");
              }
            });
  }
}
