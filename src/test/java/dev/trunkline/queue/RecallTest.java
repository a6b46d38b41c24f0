package dev.trunkline.queue;

import static dev.trunkline.queue.Cancellation.CANCELLED;
import static dev.trunkline.queue.Rescheduling.RESCHEDULED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RecallTest extends QueueFixture {

  @Test
  void a_message_in_line_is_cancelled_once_and_those_around_it_are_delivered_in_their_order() {
    List<MessageId> ids = sendNumbers(100);
    send("last");

    for (int i : new int[] {0, 31, 32, 50, 99}) {
      assertThat(queue.cancel(ids.get(i))).as("message %d", i).isEqualTo(CANCELLED);
      assertThat(queue.cancel(ids.get(i))).isEqualTo(Cancellation.TOO_LATE);
    }

    assertThat(queue.stats().ready()).isEqualTo(96);
    List<String> left = new ArrayList<>();
    IntStream.range(0, 100)
        .filter(i -> !Set.of(0, 31, 32, 50, 99).contains(i))
        .forEach(i -> left.add(String.valueOf(i)));
    left.add("last");
    assertThat(texts(queue.receive(200))).containsExactlyElementsOf(left);
  }

  @Test
  void a_delayed_message_and_one_that_backs_off_are_cancelled() {
    MessageId delayed = queue.send(Message.text("a").withDelay(Duration.ofHours(1)));
    send("b");
    Delivery failed = receiveOne();
    failed.retry(Duration.ofHours(1));

    assertThat(queue.cancel(delayed)).isEqualTo(CANCELLED);
    assertThat(queue.cancel(failed.id())).isEqualTo(CANCELLED);

    assertThat(count("message")).isZero();
    assertThat(queue.stats().scheduled()).isZero();
  }

  @Test
  void what_is_in_a_consumers_hands_or_gone_or_of_another_queue_is_too_late() {
    MessageId elsewhere = trunkline.queue("other", CONFIG).send(Message.text("a"));
    MessageId acked = send("a");
    receiveOne().ack();
    MessageId dead = send("b");
    receiveOne().deadLetter("no");
    MessageId held = send("c");
    Delivery delivery = receiveOne();

    for (MessageId id : List.of(elsewhere, acked, dead, held, new MessageId(Long.MAX_VALUE))) {
      assertThat(queue.cancel(id)).isEqualTo(Cancellation.TOO_LATE);
      assertThat(queue.reschedule(id, Duration.ofHours(1))).isEqualTo(Rescheduling.TOO_LATE);
    }
    delivery.ack();
    assertThat(count("dead_letter")).isEqualTo(1);
  }

  @Test
  void what_came_back_is_found_wherever_it_stands_in_line() {
    send("first");
    Delivery first = receiveOne();
    for (int i = 0; i < 100; i++) {
      send("between");
    }
    first.release();
    send("behind");

    assertThat(queue.cancel(first.id())).isEqualTo(CANCELLED);

    assertThat(texts(queue.receive(200))).hasSize(101).doesNotContain("first");
  }

  @Test
  void a_message_in_line_is_put_off_and_keeps_its_counts() {
    List<MessageId> ids = sendAll("a", "b", "c");
    queue.receive(10).forEach(Delivery::retry);

    assertThat(queue.reschedule(ids.get(1), Duration.ofHours(1))).isEqualTo(RESCHEDULED);
    assertThat(texts(queue.receive(10))).containsExactlyInAnyOrder("a", "c");
    assertThat(queue.stats().scheduled()).isEqualTo(1);
    promoteAll();

    Delivery late = receiveOne();
    assertThat(late.message().text()).isEqualTo("b");
    assertThat(late.attempt()).isEqualTo(2);
    assertThat(late.acquired()).isEqualTo(2);
  }

  @Test
  void a_delayed_message_is_brought_forward_and_put_off_by_delay_and_by_time() {
    MessageId id = queue.send(Message.text("a").withDelay(Duration.ofHours(1)));

    assertThat(queue.reschedule(id, Instant.now().plus(Duration.ofHours(2))))
        .isEqualTo(RESCHEDULED);
    assertThat(scheduler().promoteDue(Instant.now().plus(Duration.ofMinutes(90)))).isZero();
    assertThat(queue.reschedule(id, Instant.EPOCH)).isEqualTo(RESCHEDULED);

    assertThat(texts(queue.receive(waiting(PATIENCE)))).containsExactly("a");
    MessageId again = queue.send(Message.text("b").withDelay(Duration.ofHours(1)));
    assertThat(queue.reschedule(again, Duration.ZERO)).isEqualTo(RESCHEDULED);
    assertThat(texts(queue.receive(waiting(PATIENCE)))).containsExactly("b");
  }

  @Test
  void in_a_callers_transaction_it_happens_if_and_when_that_commits() throws SQLException {
    List<MessageId> ids = sendNumbers(3);
    MessageId delayed = queue.send(Message.text("d").withDelay(Duration.ofHours(1)));
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      assertThat(queue.cancel(connection, ids.get(1))).isEqualTo(CANCELLED);
      assertThat(queue.cancel(connection, delayed)).isEqualTo(CANCELLED);
      connection.rollback();
      assertThat(queue.stats().ready()).isEqualTo(3);
      assertThat(queue.stats().scheduled()).isEqualTo(1);

      assertThat(queue.cancel(connection, ids.get(1))).isEqualTo(CANCELLED);
      assertThat(queue.cancel(connection, ids.get(1))).isEqualTo(Cancellation.TOO_LATE);
      assertThat(queue.reschedule(connection, ids.get(2), Duration.ofHours(1)))
          .isEqualTo(RESCHEDULED);
      assertThat(queue.reschedule(connection, delayed, Instant.now())).isEqualTo(RESCHEDULED);
      assertThat(texts(queue.receive(10))).as("hidden until the end").isEmpty();
      connection.commit();
    }
    promoteAll();
    assertThat(texts(queue.receive(10))).containsExactlyInAnyOrder("0", "2", "d");
  }

  @Test
  void of_a_cancel_and_a_claim_at_once_exactly_one_has_the_message_and_the_answer_is_true()
      throws InterruptedException, ExecutionException {
    int count = 1_200;
    List<MessageId> ids =
        queue.sendAll(
            IntStream.range(0, count)
                .mapToObj(
                    i ->
                        i % 4 == 0
                            ? Message.text("a").withDelay(Duration.ofMillis(1 + i % 300))
                            : Message.text("a"))
                .toList());
    Set<MessageId> handled = ConcurrentHashMap.newKeySet();
    Set<MessageId> seen = ConcurrentHashMap.newKeySet();
    Set<MessageId> cancelled = ConcurrentHashMap.newKeySet();
    Queue elsewhere = open(OPENED).queue("orders");
    Handler handler =
        delivery -> {
          // Some come back once: they are in line, or scheduled, again.
          if (seen.add(delivery.id()) && delivery.id().value() % 3 == 0) {
            return delivery.id().value() % 2 == 0 ? Outcome.retry() : Outcome.release();
          }
          handled.add(delivery.id());
          return Outcome.ack();
        };
    try (Consumer here = queue.consume(handlers(2).withPrefetch(8), handler);
        Consumer there = elsewhere.consume(handlers(2).withPrefetch(8), handler)) {
      inThreads(
          3,
          thread -> {
            List<MessageId> mine = new ArrayList<>(ids);
            Collections.shuffle(mine, new Random(thread));
            Queue through = thread % 2 == 0 ? queue : elsewhere;
            for (MessageId id : mine.subList(0, 500)) {
              if (thread == 2) {
                through.reschedule(id, Duration.ofMillis(id.value() % 50));
              } else if (through.cancel(id) == CANCELLED) {
                assertThat(cancelled.add(id)).as("%s is cancelled once", id).isTrue();
              }
            }
          });
      Awaits.until(() -> count("message") == 0);
    }

    assertThat(handled).doesNotContainAnyElementsOf(cancelled);
    assertThat(handled.size() + cancelled.size()).isEqualTo(count);
    assertThat(cancelled).as("a race that nobody wins is none").isNotEmpty();
    assertThat(handled).isNotEmpty();
  }

  @Test
  void nonsense_is_refused() {
    MessageId id = send("a");
    assertThatThrownBy(() -> queue.reschedule(id, Duration.ofMillis(-1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("after must be between zero and 3650 days: PT-0.001S");
    assertThatThrownBy(() -> queue.reschedule(id, Instant.parse("+10000-01-01T00:00:00Z")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("at must be before the year 10000: +10000-01-01T00:00:00Z");
  }

  private interface Work {
    void in(int thread);
  }

  private static void inThreads(int count, Work work)
      throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    try {
      List<Future<?>> all =
          IntStream.range(0, count)
              .mapToObj(i -> threads.submit(() -> work.in(i)))
              .collect(Collectors.toList());
      for (Future<?> one : all) {
        one.get();
      }
    } finally {
      threads.shutdown();
    }
  }
}
