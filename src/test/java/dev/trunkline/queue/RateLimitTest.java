package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class RateLimitTest extends QueueFixture {

  private void limited(RateLimit rate) {
    queue = altered(CONFIG.withRateLimit(rate));
  }

  @Test
  void consumers_in_two_processes_together_keep_to_the_rate_and_come_close_to_it() {
    RateLimit rate = new RateLimit(100, Duration.ofSeconds(1), 10);
    limited(rate);
    sendNumbers(300);
    ConcurrentLinkedQueue<Long> handled = new ConcurrentLinkedQueue<>();
    long begin = System.nanoTime();
    Consumer here = queue.consume(handlers(4), delivery -> note(handled));
    Consumer there = open(OPENED).queue("orders").consume(handlers(4), delivery -> note(handled));
    try {
      Awaits.await()
          .pollInterval(Duration.ofMillis(50))
          .until(() -> System.nanoTime() - begin > 2_000_000_000L);
    } finally {
      here.close();
      there.close();
    }
    double seconds = (System.nanoTime() - begin) / 1e9;
    int count = handled.size();
    // What is counted is when the database let them go: handlers hear of it a moment later.
    assertThat((double) count).isLessThanOrEqualTo(rate.burst() + rate.messages() * seconds);
    assertThat((double) count).isGreaterThan(0.6 * rate.messages() * seconds);
    assertThat(queue.stats().ready() + count).isEqualTo(300);
  }

  private static Outcome note(ConcurrentLinkedQueue<Long> handled) {
    handled.add(System.nanoTime());
    return Outcome.ack();
  }

  @Test
  void after_a_pause_no_more_than_the_burst_comes_at_once() {
    limited(new RateLimit(1, Duration.ofMinutes(1), 5));
    sendNumbers(20);

    assertThat(queue.receive(20)).hasSize(5);
    assertThat(queue.receive(20)).isEmpty();
    assertThat(open(OPENED).queue("orders").receive(20)).isEmpty();
  }

  @Test
  void a_long_poll_waits_precisely_until_the_next_message_is_allowed() {
    limited(new RateLimit(2, Duration.ofSeconds(1), 1));
    sendNumbers(3);
    assertThat(queue.receive(1)).hasSize(1);
    long begin = System.nanoTime();

    assertThat(queue.receive(waiting(PATIENCE))).hasSize(1);

    Duration waited = Duration.ofNanos(System.nanoTime() - begin);
    assertThat(waited).isBetween(Duration.ofMillis(400), Duration.ofMillis(900));
  }

  @Test
  void claims_that_delete_keep_to_the_rate_too() {
    limited(new RateLimit(1, Duration.ofMinutes(1), 3));
    sendNumbers(20);

    assertThat(queue.receiveAndDelete(20)).hasSize(3);
    assertThat(queue.receive(20)).isEmpty();
  }

  @Test
  void retries_are_paced_like_everything_else() {
    limited(new RateLimit(1, Duration.ofMinutes(1), 3));
    sendNumbers(2);
    queue.receive(2).forEach(Delivery::retry);

    assertThat(queue.receive(2)).hasSize(1);
  }

  @Test
  void an_altered_rate_is_obeyed_at_once_by_those_who_consume() {
    limited(new RateLimit(1, Duration.ofDays(1), 1));
    sendNumbers(200);
    AtomicInteger handled = new AtomicInteger();
    Consumer consumer =
        queue.consume(
            handlers(4),
            delivery -> {
              handled.incrementAndGet();
              return Outcome.ack();
            });
    try {
      Awaits.until(() -> handled.get() == 1);

      altered(CONFIG.withRateLimit(new RateLimit(10_000, Duration.ofSeconds(1), 1_000)));
      queue.resume();

      Awaits.until(() -> handled.get() > 1);
    } finally {
      consumer.close();
    }
  }

  @Test
  void no_more_than_the_cap_is_in_flight_over_all_consumers() {
    int cap = 7;
    queue = altered(CONFIG.withMaxInFlight(cap));
    sendNumbers(300);
    AtomicInteger handled = new AtomicInteger();
    List<Long> inFlight = Collections.synchronizedList(new ArrayList<>());
    Handler handler =
        delivery -> {
          inFlight.add(queue.stats().inFlight());
          handled.incrementAndGet();
          return Outcome.ack();
        };
    Consumer here = queue.consume(handlers(8), handler);
    Consumer there = open(OPENED).queue("orders").consume(handlers(8), handler);
    try {
      Awaits.until(() -> handled.get() == 300);
    } finally {
      here.close();
      there.close();
    }
    assertThat(inFlight).allMatch(some -> some <= cap);
    assertThat(inFlight).anyMatch(some -> some > 1);
  }

  @Test
  void a_full_cap_is_no_error_and_what_is_settled_makes_room() {
    queue = altered(CONFIG.withMaxInFlight(3));
    sendNumbers(10);
    Queue elsewhere = open(OPENED).queue("orders");
    List<Delivery> three = queue.receive(10);
    assertThat(three).hasSize(3);
    assertThat(elsewhere.receive(10)).isEmpty();

    three.get(0).ack();
    three.get(1).retry();

    assertThat(elsewhere.receive(10)).hasSize(2);
    assertThat(queue.receive(10)).isEmpty();
    assertThat(expireAll()).isPositive();
    promoteAll();
    assertThat(queue.receive(10)).hasSize(3);
  }

  @Test
  void a_cap_and_a_rate_hold_together() {
    queue =
        altered(
            CONFIG.withMaxInFlight(4).withRateLimit(new RateLimit(1, Duration.ofMinutes(1), 6)));
    sendNumbers(10);
    List<Delivery> four = queue.receive(10);
    assertThat(four).hasSize(4);
    queue.ackAll(four);

    assertThat(queue.receive(10)).hasSize(2);
  }

  @Test
  void a_pause_of_the_queue_holds_up_a_limited_one_as_well() throws InterruptedException {
    limited(new RateLimit(1_000, Duration.ofSeconds(1), 100));
    CountDownLatch some = new CountDownLatch(1);
    Consumer consumer =
        queue.consume(
            handlers(2),
            delivery -> {
              some.countDown();
              return Outcome.ack();
            });
    try {
      queue.pause();
      queue.send(Message.text("a"));
      Awaits.await()
          .during(Duration.ofMillis(200))
          .until(() -> some.getCount() == 1 && count("ready") == 1);
      queue.resume();
      some.await();
    } finally {
      consumer.close();
    }
  }
}
