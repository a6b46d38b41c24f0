package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Phaser;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class ConsumerTest extends QueueFixture {

  @Test
  void never_more_handlers_run_than_asked_for_and_so_many_do() {
    sendNumbers(200);
    AtomicInteger running = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    CountDownLatch together = new CountDownLatch(4);

    consumeUntil(
        handlers(4),
        delivery -> {
          most.accumulateAndGet(running.incrementAndGet(), Math::max);
          together.countDown();
          together.await();
          running.decrementAndGet();
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(most).hasValue(4);
  }

  @Test
  void no_more_is_claimed_than_may_be_prefetched() throws InterruptedException {
    sendNumbers(500);
    CountDownLatch begun = new CountDownLatch(2);
    CountDownLatch finish = new CountDownLatch(1);
    AtomicInteger handled = new AtomicInteger();
    Consumer consumer =
        queue.consume(
            handlers(2).withPrefetch(12),
            delivery -> {
              handled.incrementAndGet();
              begun.countDown();
              // Fast ones first, so that it fetches ahead as far as it may.
              if (handled.get() > 200) {
                finish.await();
              }
              return Outcome.ack();
            });
    try {
      begun.await();
      Awaits.until(() -> handled.get() >= 202 && queue.stats().inFlight() >= 2);
      Awaits.await().during(Duration.ofMillis(300)).until(() -> count("lease") <= 12);
      assertThat(count("ready")).isGreaterThan(200);
    } finally {
      finish.countDown();
      consumer.close();
    }
  }

  @Test
  void no_more_bytes_are_claimed_than_may_be_prefetched_and_one_run() throws InterruptedException {
    queue.sendAll(Collections.nCopies(30, Message.bytes(new byte[100_000])));
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    Consumer consumer =
        queue.consume(
            handlers(20).withPrefetch(30).withPrefetchBytes(500_000),
            delivery -> {
              begun.countDown();
              finish.await();
              return Outcome.ack();
            });
    try {
      begun.await();
      Awaits.await()
          .during(Duration.ofMillis(300))
          .until(() -> count("lease") * 100_000 <= 500_000 + RunCutter.MAX_BYTES);
      assertThat(count("lease")).isGreaterThanOrEqualTo(4);
    } finally {
      finish.countDown();
      consumer.close();
    }
  }

  @Test
  void a_payload_larger_than_what_may_be_prefetched_is_handled_all_the_same() {
    queue.sendAll(Collections.nCopies(3, Message.bytes(new byte[50_000])));

    consumeUntil(
        handlers(2).withPrefetchBytes(1), delivery -> Outcome.ack(), () -> count("message") == 0);

    assertThat(queue.stats().acked()).isEqualTo(3);
  }

  @Test
  void one_handler_gets_messages_in_order_while_more_are_sent() {
    List<String> handled = new CopyOnWriteArrayList<>();
    Consumer consumer =
        queue.consume(
            handlers(1),
            delivery -> {
              handled.add(delivery.message().text());
              return Outcome.ack();
            });
    try {
      for (int i = 0; i < 300; ) {
        List<Message> batch =
            java.util.stream.IntStream.range(i, Math.min(300, i + 1 + i % 40))
                .mapToObj(number -> Message.text(String.valueOf(number)))
                .toList();
        queue.sendAll(batch);
        i += batch.size();
      }
      Awaits.until(() -> handled.size() >= 300);
    } finally {
      consumer.close();
    }

    assertThat(handled.stream().map(Integer::valueOf)).hasSize(300).isSorted();
  }

  @Test
  void consumers_of_one_queue_share_its_messages() {
    Queue elsewhere = open(OPENED).queue("orders");
    Map<String, Integer> handled = new ConcurrentHashMap<>();
    // Each waits until both have one: neither takes all.
    Phaser both = new Phaser(2);
    Set<String> met = ConcurrentHashMap.newKeySet();
    sendNumbers(100);
    Handler here = sharing("here", both, met, handled);
    Handler there = sharing("there", both, met, handled);
    Consumer first = queue.consume(handlers(1).withPrefetch(1), here);
    Consumer second = elsewhere.consume(handlers(1).withPrefetch(1), there);
    try {
      Awaits.until(() -> count("message") == 0);
    } finally {
      first.close();
      second.close();
    }

    assertThat(handled).hasSize(100).allSatisfy((text, times) -> assertThat(times).isEqualTo(1));
    assertThat(met).containsExactlyInAnyOrder("here", "there");
  }

  private static Handler sharing(
      String who, Phaser both, Set<String> met, Map<String, Integer> handled) {
    return delivery -> {
      if (met.add(who)) {
        both.arriveAndAwaitAdvance();
      }
      handled.merge(delivery.message().text(), 1, Integer::sum);
      return Outcome.ack();
    };
  }

  @Test
  void an_idle_consumer_finds_what_sql_sent_without_a_word() {
    List<String> handled = new CopyOnWriteArrayList<>();
    Consumer consumer =
        queue.consume(
            delivery -> {
              handled.add(delivery.message().text());
              return Outcome.ack();
            });
    try {
      send("wake");
      Awaits.until(() -> handled.size() == 1);
      database.text("SELECT trunkline.send('orders', 'from psql')");
      Awaits.await().atMost(Duration.ofSeconds(5)).until(() -> handled.size() == 2);
    } finally {
      consumer.close();
    }
  }

  @Test
  void virtual_threads_are_used_where_there_are_any_and_asking_does_no_harm_elsewhere() {
    sendNumbers(20);
    Set<Boolean> virtual = ConcurrentHashMap.newKeySet();

    consumeUntil(
        handlers(5).withVirtualThreads(true),
        delivery -> {
          virtual.add(isVirtual(Thread.currentThread()));
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(virtual).containsExactly(Runtime.version().feature() >= 21);
  }

  private static boolean isVirtual(Thread thread) {
    try {
      return (boolean) Thread.class.getMethod("isVirtual").invoke(thread);
    } catch (ReflectiveOperationException e) {
      return false;
    }
  }

  @Test
  void a_failure_leaves_the_others_of_its_batch_where_they_are() {
    sendNumbers(200);
    Map<String, Integer> claims = new ConcurrentHashMap<>();

    consumeUntil(
        handlers(2),
        delivery -> {
          claims.put(delivery.message().text(), delivery.acquired());
          return Outcome.deadLetter("no");
        },
        () -> queue.stats().dead() == 200);

    assertThat(claims).hasSize(200);
    assertThat(claims.values()).as("claims of each").containsOnly(1);
  }
}
