package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Handlers, many at a time. */
class SharedConsumerTest extends SharedGroupFixture {
  private final Map<String, AtomicInteger> handled = new ConcurrentHashMap<>();

  private Outcome count(SharedDelivery delivery) {
    handled
        .computeIfAbsent(delivery.message().text(), text -> new AtomicInteger())
        .incrementAndGet();
    return Outcome.ack();
  }

  private void awaitSettled(SharedGroup group) {
    Awaits.until(() -> group.lag().stream().allMatch(lag -> lag.records() == 0));
  }

  @Test
  void every_record_is_handled_once_by_eight_consumers_on_two_partitions() throws Exception {
    int records = 2_000;
    List<Trunkline> processes = List.of(trunkline, open(), open(), open());
    SharedGroup billing = billing();
    for (Trunkline process : processes) {
      SharedGroup group = process.topic(topic.name()).sharedGroup("billing", CONFIG);
      for (int i = 0; i < 2; i++) {
        group.consume(SharedConsumerConfig.defaults().withConcurrency(3), this::count);
      }
    }
    List<Thread> publishers = new ArrayList<>();
    for (int publisher = 0; publisher < 4; publisher++) {
      int from = publisher * (records / 4);
      Thread thread =
          new Thread(
              () -> {
                for (int i = from; i < from + records / 4; i += 20) {
                  topic.publishAll(
                      IntStream.range(i, i + 20)
                          .mapToObj(n -> Message.text(String.valueOf(n)).withKey("key-" + n))
                          .toList());
                }
              });
      thread.start();
      publishers.add(thread);
    }
    for (Thread publisher : publishers) {
      publisher.join();
    }

    topic.endOffsets();
    awaitSettled(billing);

    assertThat(handled).hasSize(records);
    assertThat(handled.values()).allMatch(times -> times.get() == 1);
    assertThat(count("dead_letter")).isZero();
  }

  @Test
  void whatever_handlers_decide_each_record_is_acked_once() {
    publish(500);
    topic.endOffsets();
    SharedGroup billing =
        topic.sharedGroup("billing", CONFIG.withRetryPolicy(AT_ONCE.withMaxDeliveries(1_000)));
    SharedGroup elsewhere =
        open()
            .topic(topic.name())
            .sharedGroup("billing", CONFIG.withRetryPolicy(AT_ONCE.withMaxDeliveries(1_000)));
    Map<String, Integer> failures = new ConcurrentHashMap<>();
    SharedHandler handler =
        delivery -> {
          String text = delivery.message().text();
          assertThat(delivery.attempt()).isEqualTo(failures.getOrDefault(text, 0) + 1);
          switch (ThreadLocalRandom.current().nextInt(6)) {
            case 0 -> {
              failures.merge(text, 1, Integer::sum);
              return Outcome.retry();
            }
            case 1 -> {
              failures.merge(text, 1, Integer::sum);
              throw new IllegalStateException("not today");
            }
            case 2 -> {
              return Outcome.release();
            }
            case 3 -> {
              failures.merge(text, 1, Integer::sum);
              return Outcome.retry(Duration.ofMillis(20));
            }
            default -> {
              return count(delivery);
            }
          }
        };
    billing.consume(handler);
    elsewhere.consume(handler);

    awaitSettled(billing);

    assertThat(handled).hasSize(500);
    assertThat(handled.values()).allMatch(times -> times.get() == 1);
  }

  @Test
  void a_published_record_wakes_a_consumer_at_once() {
    SharedGroup billing = billing();
    List<Long> tookMs = new ArrayList<>();
    try (SharedConsumer consumer = billing.consume(this::count)) {
      for (int i = 0; i < 20; i++) {
        String text = String.valueOf(i);
        long begin = System.nanoTime();
        topic.publish(Message.text(text));
        Awaits.until(() -> handled.containsKey(text));
        tookMs.add(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin));
      }
      assertThat(consumer.isClosed()).isFalse();
    }
    assertThat(tookMs.stream().sorted().toList().get(10)).as("median ms").isLessThan(90);
  }

  @Test
  void what_another_process_gives_back_arrives_by_notification() {
    TrunklineConfig seldom =
        TrunklineConfig.defaults()
            .withMigrationMode(MigrationMode.OFF)
            .withHeartbeatTimeout(Duration.ofSeconds(60))
            .withPollInterval(Duration.ofSeconds(10));
    SharedGroupConfig config = CONFIG.withSessionTimeout(Duration.ofSeconds(60));
    SharedGroup here = open(seldom).topic(topic.name()).sharedGroup("billing", config);
    SharedGroup there = open(seldom).topic(topic.name()).sharedGroup("billing", config);
    publish(1);
    SharedDelivery held = here.receive(PATIENTLY).get(0);
    there.consume(this::count);
    Awaits.until(
        () ->
            database.number(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
                == 2);
    long begin = System.nanoTime();

    held.release();

    Awaits.until(() -> handled.containsKey("0"));
    assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(5));
  }

  @Test
  void no_more_handlers_run_than_the_concurrency_allows() {
    publish(60);
    AtomicInteger running = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    SharedGroup billing = billing();
    billing.consume(
        SharedConsumerConfig.defaults().withConcurrency(3),
        delivery -> {
          most.accumulateAndGet(running.incrementAndGet(), Math::max);
          Thread.yield();
          running.decrementAndGet();
          return count(delivery);
        });

    awaitSettled(billing);

    assertThat(most.get()).isBetween(1, 3);
    assertThat(handled).hasSize(60);
  }

  @Test
  void a_handler_that_takes_longer_than_the_visibility_timeout_keeps_its_record() {
    publish(5);
    SharedGroup billing =
        topic.sharedGroup("billing", CONFIG.withVisibilityTimeout(Duration.ofMillis(300)));
    CountDownLatch release = new CountDownLatch(1);
    billing.consume(
        SharedConsumerConfig.defaults().withConcurrency(2),
        delivery -> {
          assertThat(release.await(20, TimeUnit.SECONDS)).isTrue();
          return count(delivery);
        });
    Awaits.until(() -> count("shared_lease") > 0);
    long begin = System.nanoTime();
    Awaits.until(() -> System.nanoTime() - begin > Duration.ofMillis(1_200).toNanos());
    assertThat(count("shared_waiting")).isZero();
    release.countDown();

    awaitSettled(billing);

    assertThat(handled.values()).hasSize(5).allMatch(times -> times.get() == 1);
  }

  @Test
  void what_is_renewed_no_longer_comes_back_by_itself() {
    publish(1);
    SharedGroup billing =
        topic.sharedGroup("billing", CONFIG.withVisibilityTimeout(Duration.ofMillis(300)));
    CountDownLatch second = new CountDownLatch(1);
    billing.consume(
        SharedConsumerConfig.defaults().withConcurrency(2).withMaxLeaseTime(Duration.ofMillis(200)),
        delivery -> {
          if (delivery.attempt() == 1) {
            assertThat(second.await(20, TimeUnit.SECONDS)).isTrue();
          }
          second.countDown();
          return count(delivery);
        });

    Awaits.until(() -> handled.containsKey("0"));
    awaitSettled(billing);
  }

  @Test
  void closing_gives_back_what_waits_lets_handlers_finish_and_burns_no_attempt() {
    publish(40);
    topic.endOffsets();
    SharedGroup billing = billing();
    CountDownLatch begun = new CountDownLatch(2);
    CountDownLatch finish = new CountDownLatch(1);
    SharedConsumer consumer =
        billing.consume(
            SharedConsumerConfig.defaults().withConcurrency(2),
            delivery -> {
              begun.countDown();
              assertThat(finish.await(20, TimeUnit.SECONDS)).isTrue();
              return count(delivery);
            });
    Awaits.until(() -> begun.getCount() == 0);
    Thread closer = new Thread(consumer::close);
    closer.start();
    Awaits.until(consumer::isClosed);
    finish.countDown();
    Awaits.until(() -> !closer.isAlive());

    assertThat(handled).hasSizeBetween(2, 3);
    List<SharedDelivery> rest = billing.receive(NOW);
    assertThat(rest).hasSize(40 - handled.size()).allMatch(delivery -> delivery.attempt() == 1);
    billing.ackAll(rest);
  }

  @Test
  void a_handler_that_does_not_finish_in_time_is_interrupted_and_its_record_given_back() {
    publish(1);
    SharedGroup billing = billing();
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch interrupted = new CountDownLatch(1);
    SharedConsumer consumer =
        billing.consume(
            delivery -> {
              begun.countDown();
              try {
                new CountDownLatch(1).await();
              } catch (InterruptedException e) {
                interrupted.countDown();
                throw e;
              }
              return Outcome.ack();
            });
    Awaits.until(() -> begun.getCount() == 0);

    consumer.close(Duration.ofMillis(50));

    Awaits.until(() -> interrupted.getCount() == 0);
    List<SharedDelivery> again = billing.receive(PATIENTLY);
    assertThat(again).hasSize(1).allMatch(delivery -> delivery.attempt() == 1);
  }

  @Test
  void closing_the_process_gives_back_everything() {
    publish(30);
    Trunkline other = open();
    SharedGroup there = other.topic(topic.name()).sharedGroup("billing", CONFIG);
    assertThat(there.receive(PATIENTLY)).isNotEmpty();
    other.close();

    assertThat(count("shared_lease")).isZero();
    assertThat(count("group_member")).isZero();
    SharedGroup billing = billing();
    List<SharedDelivery> all = new ArrayList<>(billing.receive(NOW));
    all.addAll(billing.receive(NOW));
    assertThat(all).hasSize(30).allMatch(delivery -> delivery.attempt() == 1);
  }
}
