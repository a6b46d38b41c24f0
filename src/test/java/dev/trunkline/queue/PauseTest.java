package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class PauseTest extends QueueFixture {

  @Test
  void a_paused_queue_accepts_but_delivers_nothing_in_any_process() {
    Queue elsewhere = open(OPENED).queue("orders");
    send("before");

    elsewhere.pause();
    send("after");

    assertThat(queue.stats().paused()).isTrue();
    assertThat(queue.receive(10)).isEmpty();
    assertThat(elsewhere.receive(waiting(Duration.ofMillis(300)))).isEmpty();
    assertThat(queue.stats().ready()).isEqualTo(2);
    queue.resume();
    assertThat(queue.stats().paused()).isFalse();
    assertThat(texts(elsewhere.receive(10))).containsExactly("before", "after");
  }

  @Test
  void what_is_in_flight_can_be_settled_while_a_queue_is_paused() {
    sendAll("ack", "retry", "release", "reject", "extend");
    List<Delivery> held = queue.receive(10);

    queue.pause();
    held.get(0).ack();
    held.get(1).retry();
    held.get(2).release();
    held.get(3).deadLetter("no");
    held.get(4).extend(Duration.ofHours(1));

    assertThat(queue.stats())
        .satisfies(
            stats -> {
              assertThat(stats.acked()).isEqualTo(1);
              assertThat(stats.ready()).isEqualTo(2);
              assertThat(stats.dead()).isEqualTo(1);
              assertThat(stats.inFlight()).isEqualTo(1);
            });
    assertThat(queue.receive(10)).isEmpty();
  }

  @Test
  void a_long_poll_waits_through_a_pause() throws Exception {
    Queue elsewhere = open(OPENED).queue("orders");
    queue.pause();
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      Future<List<Delivery>> here = threads.submit(() -> queue.receive(waiting(PATIENCE)));
      Future<List<Delivery>> there = threads.submit(() -> elsewhere.receive(waiting(PATIENCE)));
      sendNumbers(50);
      Awaits.await()
          .during(Duration.ofMillis(300))
          .until(() -> !here.isDone() && !there.isDone() && count("lease") == 0);

      queue.resume();

      assertThat(here.get(10, TimeUnit.SECONDS)).isNotEmpty();
      assertThat(there.get(10, TimeUnit.SECONDS)).isNotEmpty();
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void consumers_stop_claiming_when_another_process_pauses_and_go_on_when_it_resumes() {
    Queue elsewhere = open(OPENED).queue("orders");
    List<String> handled = new CopyOnWriteArrayList<>();
    sendNumbers(20);
    Consumer consumer =
        queue.consume(
            handlers(2),
            delivery -> {
              handled.add(delivery.message().text());
              return Outcome.ack();
            });
    try {
      Awaits.until(() -> handled.size() == 20);

      elsewhere.pause();
      sendNumbers(10);
      Awaits.await()
          .during(Duration.ofMillis(300))
          .until(() -> handled.size() == 20 && queue.stats().ready() == 10);
      elsewhere.resume();

      Awaits.until(() -> handled.size() == 30);
    } finally {
      consumer.close();
    }
  }

  @Test
  void pausing_twice_is_pausing_once_and_a_new_process_finds_it_paused() {
    queue.pause();
    queue.pause();
    send("a");

    assertThat(open(OPENED).queue("orders").receive(1)).isEmpty();
    queue.resume();
    assertThat(queue.receive(1)).hasSize(1);
    queue.resume();
  }

  @Test
  void a_paused_queue_still_takes_back_what_expires_and_readies_what_is_due() {
    send("a");
    queue.receive(1);
    queue.pause();

    expireAll();

    assertThat(queue.stats().ready()).isEqualTo(1);
    assertThat(queue.receive(1)).isEmpty();
  }

  @Test
  void a_paused_consumer_gets_nothing_more_while_others_go_on_and_goes_on_when_it_resumes() {
    List<String> here = new CopyOnWriteArrayList<>();
    List<String> there = new CopyOnWriteArrayList<>();
    Consumer consumer = queue.consume(handlers(2), delivery -> note(here, delivery));
    sendNumbers(20);
    Awaits.until(() -> here.size() == 20);

    consumer.pause();
    consumer.pause();

    assertThat(consumer.isPaused()).isTrue();
    sendNumbers(10);
    Awaits.await()
        .during(Duration.ofMillis(300))
        .until(() -> here.size() == 20 && queue.stats().ready() == 10);
    Consumer other = open(OPENED).queue("orders").consume(handlers(2), d -> note(there, d));
    Awaits.until(() -> there.size() == 10);
    other.close();
    sendNumbers(5);
    consumer.resume();
    Awaits.until(() -> here.size() == 25);
    assertThat(consumer.isPaused()).isFalse();
    consumer.close();
  }

  @Test
  void what_waits_for_a_handler_is_given_back_uncounted_and_what_runs_finishes() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    List<String> here = new CopyOnWriteArrayList<>();
    // A stream of quick ones makes it claim ahead.
    Consumer consumer =
        queue.consume(
            handlers(1).withPrefetch(50),
            delivery -> {
              if (delivery.message().text().equals("slow")) {
                begun.countDown();
                finish.await();
              }
              return note(here, delivery);
            });
    send("slow");
    begun.await();
    sendNumbers(30);

    consumer.pause();

    Awaits.until(() -> queue.stats().ready() == 30);
    finish.countDown();
    Awaits.until(() -> here.equals(List.of("slow")) && queue.stats().inFlight() == 0);
    assertThat(queue.receive(30)).allMatch(delivery -> delivery.attempt() == 1).hasSize(30);
    consumer.close();
  }

  @Test
  void where_a_claim_deletes_what_is_claimed_is_handled_in_spite_of_a_pause() {
    List<String> handled = new CopyOnWriteArrayList<>();
    Consumer consumer =
        queue.consumeAtMostOnce(handlers(1), message -> handled.add(message.message().text()));
    sendNumbers(200);
    Awaits.until(() -> handled.size() > 20);

    consumer.pause();

    Awaits.until(() -> handled.size() + queue.stats().ready() == 200);
    consumer.resume();
    Awaits.until(() -> handled.size() == 200);
    consumer.close();
  }

  @Test
  void a_paused_consumer_can_be_closed() {
    Consumer consumer = queue.consume(handlers(1), delivery -> Outcome.ack());
    consumer.pause();
    send("a");

    consumer.close();

    assertThat(texts(queue.receive(1))).containsExactly("a");
  }

  private static Outcome note(List<String> handled, Delivery delivery) {
    handled.add(delivery.message().text());
    return Outcome.ack();
  }
}
