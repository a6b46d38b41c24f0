package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Order by key: what is delivered when, and what becomes of failures. */
class FifoTest extends QueueFixture {
  private Queue fifo;

  @BeforeEach
  void declare_the_fifo_queue() {
    fifo = declared("fifo", FailurePolicy.BLOCK, AT_ONCE);
  }

  private Queue declared(String name, FailurePolicy failurePolicy, RetryPolicy retryPolicy) {
    return trunkline.queue(name, CONFIG.withRetryPolicy(retryPolicy).withFifoByKey(failurePolicy));
  }

  private static void send(Queue queue, String key, String... texts) {
    queue.sendAll(List.of(texts).stream().map(text -> Message.text(text).withKey(key)).toList());
  }

  private static List<String> received(Queue queue, int maxMessages) {
    return texts(queue.receive(maxMessages));
  }

  @Test
  void the_messages_of_a_key_come_in_order_and_together() {
    send(fifo, "a", "1", "2", "3");
    send(fifo, "a", "4");

    assertThat(received(fifo, 10)).containsExactly("1", "2", "3", "4");
  }

  @Test
  void nothing_of_a_key_is_delivered_while_an_earlier_message_is_not_settled() {
    send(fifo, "a", "1", "2");
    Delivery first = fifo.receive(1).get(0);

    assertThat(fifo.receive(10)).isEmpty();
    send(fifo, "a", "3");
    assertThat(fifo.receive(10)).isEmpty();

    first.ack();
    assertThat(received(fifo, 10)).containsExactly("2", "3");
  }

  @Test
  void keys_do_not_wait_for_each_other() {
    send(fifo, "a", "a1", "a2");
    assertThat(received(fifo, 1)).containsExactly("a1");

    send(fifo, "b", "b1");

    assertThat(received(fifo, 10)).containsExactly("b1");
  }

  @Test
  void a_failed_message_comes_before_what_was_sent_after_it() {
    send(fifo, "a", "1", "2", "3");
    List<Delivery> batch = fifo.receive(10);
    batch.get(0).ack();
    batch.get(1).retry();
    batch.get(2).release();
    send(fifo, "a", "4");

    List<Delivery> again = fifo.receive(10);
    assertThat(texts(again)).as("it is tried alone").containsExactly("2");
    assertThat(again.get(0).attempt()).isEqualTo(2);
    again.get(0).ack();
    List<Delivery> rest = fifo.receive(10);
    assertThat(texts(rest)).containsExactly("3", "4");
    assertThat(rest.get(0).attempt()).isEqualTo(1);
  }

  @Test
  void a_key_backs_off_with_its_head_and_others_go_on() {
    send(fifo, "a", "1", "2");
    send(fifo, "b", "3");
    List<Delivery> batch = fifo.receive(10);
    batch.stream().filter(d -> d.message().text().equals("3")).forEach(Delivery::ack);
    for (Delivery delivery : batch) {
      if (delivery.message().text().equals("1")) {
        delivery.retry(Duration.ofMillis(300));
      } else if (delivery.message().text().equals("2")) {
        delivery.release();
      }
    }
    send(fifo, "b", "4");
    assertThat(received(fifo, 10)).containsExactly("4");

    List<Delivery> due = new ArrayList<>();
    Awaits.until(() -> due.addAll(fifo.receive(10)));
    assertThat(texts(due)).containsExactly("1");
  }

  @Test
  void an_expired_lease_gives_all_of_it_back_in_order() {
    send(fifo, "a", "1", "2", "3");
    List<Delivery> lost = fifo.receive(2);
    assertThat(expireAll()).isOne();
    assertThatThrownBy(() -> lost.get(0).ack()).isInstanceOf(LeaseLostException.class);

    List<String> order = new ArrayList<>();
    Awaits.until(
        () -> {
          for (Delivery delivery : fifo.receive(10)) {
            order.add(delivery.message().text());
            delivery.ack();
          }
          return order.size() == 3;
        });
    assertThat(order).containsExactly("1", "2", "3");
  }

  @Test
  void block_tries_the_head_for_ever_and_passes_nothing_over() {
    Queue queue = declared("block", FailurePolicy.BLOCK, AT_ONCE.withMaxDeliveries(2));
    send(queue, "a", "1", "2");

    for (int attempt = 1; attempt <= 5; attempt++) {
      Delivery head = queue.receive(1).get(0);
      assertThat(head.message().text()).isEqualTo("1");
      assertThat(head.attempt()).isEqualTo(attempt);
      head.retry();
    }
    queue.receive(1).get(0).ack();
    assertThat(received(queue, 10)).containsExactly("2");
  }

  @Test
  void skip_gives_the_head_up_at_the_limit_and_goes_on() {
    Queue queue = declared("skip", FailurePolicy.SKIP, AT_ONCE.withMaxDeliveries(2));
    send(queue, "a", "1", "2");
    queue.receive(1).get(0).retry();
    queue.receive(1).get(0).retry();

    assertThat(received(queue, 10)).containsExactly("2");
    assertThat(queue.deadLetters().browse(10))
        .extracting(letter -> letter.message().text())
        .containsExactly("1");
  }

  @Test
  void park_keeps_the_key_until_it_is_released_and_a_replayed_head_comes_first() {
    Queue queue = declared("park", FailurePolicy.PARK, AT_ONCE.withMaxDeliveries(1));
    send(queue, "a", "1", "2");
    send(queue, "b", "3");
    List<Delivery> batch = queue.receive(10);
    batch.stream().filter(d -> d.message().text().equals("1")).forEach(Delivery::retry);
    assertThatThrownBy(
            () -> batch.stream().filter(d -> d.message().text().equals("2")).forEach(Delivery::ack))
        .as("what was received with it has gone back")
        .isInstanceOf(LeaseLostException.class);
    batch.stream().filter(d -> d.message().text().equals("3")).forEach(Delivery::ack);
    send(queue, "a", "4");

    assertThat(queue.receive(10)).isEmpty();
    assertThat(queue.parkedKeys(10)).extracting(ParkedKey::key).containsExactly("a");
    assertThat(queue.stats().ready()).isEqualTo(2);

    List<DeadLetter> dead = queue.deadLetters().browse(10);
    assertThat(dead).extracting(letter -> letter.message().text()).containsExactly("1");
    assertThat(queue.deadLetters().replayAll()).isOne();
    assertThat(queue.receive(10)).as("still parked").isEmpty();
    assertThat(queue.releaseKey("a")).isTrue();
    assertThat(queue.releaseKey("a")).isFalse();
    assertThat(received(queue, 10)).containsExactly("1", "2", "4");
  }

  @Test
  void a_delayed_message_has_the_place_of_its_sending_once_it_is_due() {
    fifo.send(Message.text("delayed").withKey("a").withDelay(Duration.ofHours(1)));
    send(fifo, "a", "1", "2");
    Delivery first = fifo.receive(1).get(0);
    assertThat(first.message().text()).isEqualTo("1");

    assertThat(promoteAll()).isOne();
    assertThat(fifo.receive(10)).isEmpty();
    first.ack();
    assertThat(received(fifo, 10)).containsExactly("delayed", "2");
  }

  /** A long line whose beginning is known, so that what was there is not walked any more. */
  private void let_the_line_of_a_go_on() {
    for (int i = 0; i < 20; i++) {
      fifo.sendAll(IntStream.range(0, 32).mapToObj(n -> Message.text("-").withKey("a")).toList());
      fifo.ackAll(fifo.receive(100));
    }
    assertThat(database.number("SELECT max(from_id) FROM trunkline.turn WHERE key = 'a'"))
        .isGreaterThan(500);
  }

  @Test
  void what_was_sent_early_and_commits_late_comes_first_though_its_key_has_gone_on_for_long()
      throws SQLException {
    try (Connection late = database.connect();
        Connection snapshot = database.connect()) {
      snapshot.setAutoCommit(false);
      snapshot.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      snapshot.createStatement().execute("SELECT count(*) FROM trunkline.line");
      late.setAutoCommit(false);
      send(fifo, "a", "opens it");
      fifo.ackAll(fifo.receive(1));
      MessageId early = fifo.send(late, Message.text("early").withKey("a"));
      for (int i = 0; i < 40; i++) {
        fifo.sendAll(IntStream.range(0, 32).mapToObj(n -> Message.text("-").withKey("a")).toList());
        fifo.ackAll(fifo.receive(100));
      }
      send(fifo, "a", "after it");
      late.commit();

      List<Delivery> next = fifo.receive(10);
      assertThat(texts(next)).containsExactly("early", "after it");
      assertThat(next.get(0).id()).isEqualTo(early);
      fifo.ackAll(next);
      let_the_line_of_a_go_on();
      fifo.send(snapshot, Message.text("of an old snapshot").withKey("a"));
      let_the_line_of_a_go_on();
      send(fifo, "a", "1");
      snapshot.commit();
      assertThat(received(fifo, 10)).containsExactly("of an old snapshot", "1");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void a_sender_that_has_drawn_its_id_is_not_passed_over_when_it_stores_much_later(boolean inJava)
      throws Exception {
    fifo =
        trunkline.alterQueue("fifo", CONFIG.withFifoByKey(FailurePolicy.BLOCK).withDeduplication());
    send(fifo, "a", "opens it", "held");
    fifo.receive(1).get(0).ack();
    Delivery held = fifo.receive(1).get(0);
    ExecutorService sender = Executors.newSingleThreadExecutor();
    try (Connection other = database.connect()) {
      // Whoever sends the same waits for the end of this, with an id in hand.
      other.setAutoCommit(false);
      fifo.send(other, Message.text("never sent").withKey("b").withDeduplicationId("late"));
      Future<?> sent = sender.submit(() -> sendLate(inJava));
      Awaits.until(
          () ->
              database.number(
                      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'")
                  > 0);
      database.execute("SELECT nextval('trunkline.message_id_seq')");
      library().run(session -> KeyStore.advance(session, new long[] {held.lease().id()}));
      other.rollback();
      sent.get();
    } finally {
      sender.shutdownNow();
    }
    send(fifo, "a", "after it");
    held.ack();
    assertThat(received(fifo, 10)).containsExactly("late", "after it");
  }

  private void sendLate(boolean inJava) {
    if (inJava) {
      fifo.send(Message.text("late").withKey("a").withDeduplicationId("late"));
    } else {
      database.execute(
          "SELECT trunkline.send('fifo', 'late', key => 'a', deduplication_id => 'late')");
    }
  }

  @Test
  void what_is_replayed_or_due_has_its_old_place_though_its_key_has_gone_on_for_long() {
    MessageId due = fifo.send(Message.text("due").withKey("a").withDelay(Duration.ofHours(1)));
    send(fifo, "a", "dead");
    fifo.receive(1).get(0).deadLetter("by hand");
    let_the_line_of_a_go_on();
    send(fifo, "a", "1");

    assertThat(fifo.deadLetters().replayAll()).isOne();
    assertThat(received(fifo, 1)).containsExactly("dead");
    assertThat(promoteAll()).isPositive();
    expireAll();

    List<Delivery> next = new ArrayList<>();
    Awaits.until(() -> next.addAll(fifo.receive(1)));
    assertThat(next.get(0).id()).isEqualTo(due);
    fifo.ackAll(next);
    assertThat(received(fifo, 1)).containsExactly("dead");
    let_what_is_held_be_done();
    let_the_line_of_a_go_on();
    send(fifo, "a", "2");
    Delivery failed = fifo.receive(1).get(0);
    send(fifo, "a", "3");
    failed.retry();
    assertThat(received(fifo, 1)).containsExactly("2");
  }

  private void let_what_is_held_be_done() {
    expireAll();
    Awaits.until(
        () -> {
          fifo.ackAll(fifo.receive(10));
          QueueStats stats = fifo.stats();
          return stats.ready() + stats.inFlight() == 0;
        });
  }

  @Test
  void what_commits_late_takes_its_place_behind_what_has_been_delivered() throws SQLException {
    try (Connection late = database.connect()) {
      late.setAutoCommit(false);
      fifo.send(late, Message.text("late").withKey("a"));
      send(fifo, "a", "1", "2");
      Delivery first = fifo.receive(1).get(0);
      assertThat(first.message().text()).isEqualTo("1");
      late.commit();
      assertThat(fifo.receive(10)).isEmpty();
      first.ack();
    }
    assertThat(received(fifo, 10)).containsExactly("late", "2");
  }

  @Test
  void a_sender_that_is_open_while_its_key_falls_idle_is_not_forgotten() throws SQLException {
    send(fifo, "a", "1");
    try (Connection open = database.connect()) {
      open.setAutoCommit(false);
      fifo.send(open, Message.text("2").withKey("a"));
      fifo.receive(1).get(0).ack();
      assertThat(fifo.receive(10)).isEmpty();
      assertThat(fifo.receive(10)).isEmpty();
      open.commit();
    }
    List<Delivery> found = new ArrayList<>();
    Awaits.until(() -> found.addAll(fifo.receive(10)));
    assertThat(texts(found)).containsExactly("2");
  }

  @Test
  void a_sender_at_repeatable_read_with_an_old_snapshot_is_not_forgotten() throws SQLException {
    send(fifo, "a", "1");
    try (Connection open = database.connect()) {
      open.setAutoCommit(false);
      open.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      open.createStatement().execute("SELECT count(*) FROM trunkline.key_mark");
      fifo.receive(1).get(0).ack();
      assertThat(fifo.receive(10)).isEmpty();
      assertThat(database.number("SELECT count(*) FROM trunkline.key_mark")).isZero();
      fifo.send(open, Message.text("2").withKey("a"));
      open.commit();
    }
    assertThat(received(fifo, 10)).containsExactly("2");
  }

  @Test
  void keys_that_are_done_leave_nothing_behind() {
    for (int i = 0; i < 50; i++) {
      send(fifo, "key-" + i, "1", "2");
    }
    AtomicInteger handled = new AtomicInteger();
    Consumer consumer = fifo.consume(handlers(4), delivery -> ack(handled));
    Awaits.until(() -> handled.get() == 100);
    Awaits.untilAsserted(
        () -> {
          for (String table :
              List.of("turn", "turn_later", "open_key", "key_mark", "line", "lease", "message")) {
            assertThat(database.number("SELECT count(*) FROM trunkline." + table))
                .as(table)
                .isZero();
          }
        });
    consumer.close();
  }

  private static Outcome ack(AtomicInteger handled) {
    handled.incrementAndGet();
    return Outcome.ack();
  }

  @Test
  void pushed_messages_of_a_key_are_handled_one_by_one_in_order_by_all_consumers_together() {
    int keys = 10;
    int each = 60;
    Map<String, List<Integer>> handled = new ConcurrentHashMap<>();
    Map<String, Integer> running = new ConcurrentHashMap<>();
    List<String> overlaps = new CopyOnWriteArrayList<>();
    AtomicInteger failures = new AtomicInteger();
    Handler handler =
        delivery -> {
          String key = delivery.message().key().orElseThrow();
          if (running.merge(key, 1, Integer::sum) > 1) {
            overlaps.add(key);
          }
          try {
            int number = Integer.parseInt(delivery.message().text());
            if (delivery.attempt() == 1 && number % 13 == 5) {
              failures.incrementAndGet();
              return number % 2 == 0 ? Outcome.retry() : Outcome.retry(Duration.ofMillis(20));
            }
            handled.computeIfAbsent(key, k -> new CopyOnWriteArrayList<>()).add(number);
            return Outcome.ack();
          } finally {
            running.merge(key, -1, Integer::sum);
          }
        };
    Consumer here = fifo.consume(handlers(4), handler);
    Consumer there = open(OPENED).queue("fifo").consume(handlers(4), handler);
    for (int i = 0; i < each; i++) {
      String text = String.valueOf(i);
      fifo.sendAll(
          IntStream.range(0, keys).mapToObj(k -> Message.text(text).withKey("k" + k)).toList());
    }
    Awaits.until(() -> handled.values().stream().mapToInt(List::size).sum() >= keys * each);
    here.close();
    there.close();

    assertThat(overlaps).isEmpty();
    assertThat(failures).hasValueGreaterThan(0);
    List<Integer> inOrder = IntStream.range(0, each).boxed().toList();
    handled.forEach((key, numbers) -> assertThat(numbers).as(key).isEqualTo(inOrder));
  }

  @Test
  void a_transactional_consumer_keeps_the_order() {
    List<String> handled = new CopyOnWriteArrayList<>();
    Consumer consumer =
        fifo.consumeTransactionally(
            handlers(3),
            (delivery, connection) -> {
              if (delivery.attempt() == 1 && delivery.message().text().equals("2")) {
                return Outcome.retry();
              }
              handled.add(delivery.message().text());
              return Outcome.ack();
            });
    send(fifo, "a", "1", "2", "3", "4");
    Awaits.until(() -> handled.size() == 4);
    consumer.close();
    assertThat(handled).containsExactly("1", "2", "3", "4");
  }

  @Test
  void a_delivery_of_a_key_is_acked_in_a_callers_transaction_if_it_is_alone() throws SQLException {
    send(fifo, "a", "1", "2");
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      List<Delivery> both = fifo.receive(10);
      assertThatThrownBy(() -> both.get(0).ack(connection))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("together with others of its key");
      both.get(0).ack();
      both.get(1).ack(connection);
      connection.rollback();
      assertThat(fifo.receive(10)).isEmpty();
      both.get(1).ack(connection);
      connection.commit();
    }
    send(fifo, "a", "3");
    assertThat(received(fifo, 10)).containsExactly("3");
  }

  @Test
  void an_extended_delivery_keeps_those_of_its_key_with_it() {
    send(fifo, "a", "1", "2");
    List<Delivery> both = fifo.receive(10);
    both.get(0).extend(Duration.ofHours(1));
    assertThat(database.number("SELECT count(*) FROM trunkline.lease")).isOne();
    both.get(0).ack();
    assertThat(fifo.receive(10)).isEmpty();
    both.get(1).ack();
  }

  @Test
  void purge_and_delete_leave_no_key_behind() {
    send(fifo, "a", "1", "2");
    send(fifo, "b", "3");
    fifo.receive(1);
    assertThat(fifo.purge()).isEqualTo(3);
    assertThat(fifo.receive(10)).isEmpty();
    send(fifo, "a", "4");
    assertThat(received(fifo, 10)).containsExactly("4");

    fifo.delete();
    for (String table : List.of("turn", "turn_later", "open_key", "key_mark", "line", "lease")) {
      assertThat(database.number("SELECT count(*) FROM trunkline." + table)).as(table).isZero();
    }
  }

  @Test
  void sql_sends_into_the_same_lines() {
    send(fifo, "a", "1");
    database.rows("SELECT trunkline.send('fifo', '2', 'a')");
    database.rows("SELECT trunkline.send('fifo', '3', 'b')");

    assertThat(received(fifo, 10)).containsExactlyInAnyOrder("1", "2", "3");
    assertThatThrownBy(() -> database.rows("SELECT trunkline.send('fifo', '2')"))
        .hasMessageContaining("key must not be null");
  }

  @Test
  void what_has_no_place_in_a_fifo_queue_is_refused() {
    assertThatThrownBy(() -> fifo.send(Message.text("x")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("must have a key");
    assertThatThrownBy(() -> fifo.send(Message.text("x").withKey("a").withPriority(3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("default priority")
        .hasMessageContaining("3");
    assertThatThrownBy(() -> fifo.send(Message.text("x").withKey("\u20ac".repeat(1000))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("3000");
    assertThatThrownBy(() -> fifo.receiveAndDelete(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("fifo");
    assertThatThrownBy(() -> fifo.consumeAtMostOnce(message -> {}))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> trunkline.alterQueue("fifo", CONFIG))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("cannot be altered")
        .hasMessageContaining("FifoByKey");
  }
}
