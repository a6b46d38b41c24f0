package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.QUICKLY_MISSED;
import static dev.trunkline.crash.OtherProcess.say;
import static dev.trunkline.crash.OtherProcess.stay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.event.ActiveConsumer;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.RateLimit;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

@PostgresTest
class FlowAcrossProcessesTest {
  private static final RateLimit RATE = new RateLimit(200, Duration.ofSeconds(1), 20);
  private static final int MESSAGES = 3_000;

  private static final QueueConfig LIMITED = QueueConfig.defaults().withRateLimit(RATE);

  private static final QueueConfig SINGLE =
      QueueConfig.defaults()
          .withRetryPolicy(RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO))
          .withSingleActiveConsumer();

  private TestDatabase database;

  static final class Limited {
    private Limited() {}

    public static void main(String[] arguments) {
      OtherProcess.open(arguments, QUICKLY_MISSED)
          .queue("limited", LIMITED)
          .consume(
              delivery -> {
                say("handled");
                return Outcome.ack();
              });
      say("consumes");
      stay();
    }
  }

  /** What had been claimed at some moment between two others, by the database's clock. */
  private record Sample(double notBefore, double notAfter, long claimed) {}

  private Sample sample() {
    List<Object> row =
        database
            .rows(
                """
                SELECT
                  extract(epoch FROM now())::double precision,
                  %d - (SELECT sum(ready) FROM trunkline.tally),
                  extract(epoch FROM clock_timestamp())::double precision
                """
                    .formatted(MESSAGES))
            .get(0);
    return new Sample(number(row.get(0)), number(row.get(2)), (long) number(row.get(1)));
  }

  private static double number(Object value) {
    return ((Number) value).doubleValue();
  }

  @Test
  void two_processes_together_never_exceed_the_rate_and_its_burst_and_share_it() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED)) {
      Queue queue = trunkline.queue("limited", LIMITED);
      queue.sendAll(IntStream.range(0, MESSAGES).mapToObj(i -> Message.text("m")).toList());
      AtomicInteger here = new AtomicInteger();
      double begin = sample().notBefore();
      List<Sample> samples = new ArrayList<>();
      try (SecondJvm other = OtherProcess.running(Limited.class, database).start();
          Consumer consumer =
              queue.consume(
                  delivery -> {
                    here.incrementAndGet();
                    return Outcome.ack();
                  })) {
        other.awaitLine("consumes");
        double both = sample().notAfter();
        Awaits.await()
            .until(
                () -> {
                  samples.add(sample());
                  return samples.get(samples.size() - 1).notBefore() > both + 3;
                });
        assertThat(here.get()).as("handled here").isGreaterThan(20);
        assertThat(other.lines().size()).as("handled there").isGreaterThan(20);
        assertThat(consumer.isClosed()).isFalse();
      }
      assertThat(samples)
          .allSatisfy(
              sample ->
                  assertThat((double) sample.claimed())
                      .isLessThanOrEqualTo(
                          RATE.burst() + RATE.messages() * (sample.notAfter() - begin)));
      Sample last = samples.get(samples.size() - 1);
      assertThat((double) last.claimed())
          .isGreaterThan(0.6 * RATE.messages() * (last.notBefore() - begin));
    }
  }

  static final class Active {
    private Active() {}

    public static void main(String[] arguments) {
      Consumer consumer =
          OtherProcess.open(arguments, QUICKLY_MISSED)
              .queue("single", SINGLE)
              .consume(
                  ConsumerConfig.defaults().withConcurrency(4).withPrefetch(20),
                  delivery -> {
                    if (delivery.message().text().equals("hang")) {
                      say("hangs");
                      new CountDownLatch(1).await();
                    }
                    say("handled " + delivery.id().value());
                    return Outcome.ack();
                  });
      Awaits.until(consumer::isActive);
      say("active");
      stay();
    }
  }

  @Test
  void when_the_active_consumer_is_killed_another_process_takes_over_and_nothing_is_lost() {
    List<ActiveConsumer> events = new CopyOnWriteArrayList<>();
    TrunklineConfig listening =
        QUICKLY_MISSED.withListener(
            new TrunklineListener() {
              @Override
              public void activeConsumer(ActiveConsumer event) {
                events.add(event);
              }
            });
    Set<Long> handled = ConcurrentHashMap.newKeySet();
    Set<Long> sent = ConcurrentHashMap.newKeySet();
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), listening);
        SecondJvm active = OtherProcess.running(Active.class, database).start()) {
      Queue queue = trunkline.queue("single", SINGLE);
      active.awaitLine("^active$");
      Consumer standby =
          queue.consume(
              ConsumerConfig.defaults().withConcurrency(4),
              delivery -> {
                handled.add(delivery.id().value());
                return Outcome.ack();
              });
      send(queue, sent, "m", 200);
      Awaits.until(() -> active.lines().size() > 200);
      send(queue, sent, "hang", 4);
      active.awaitLine("hangs");
      send(queue, sent, "m", 200);
      assertThat(handled).isEmpty();
      assertThat(standby.isActive()).isFalse();
      long killed = System.nanoTime();

      active.kill();

      Awaits.until(standby::isActive);
      assertThat(Duration.ofNanos(System.nanoTime() - killed)).isLessThan(Duration.ofSeconds(8));
      Awaits.until(() -> queue.stats().acked() == sent.size());
      active
          .lines()
          .forEach(
              line -> {
                if (line.startsWith("handled ")) {
                  handled.add(Long.parseLong(line.substring(8)));
                }
              });
      standby.close();
      assertThat(handled).isEqualTo(sent);
      assertThat(events).extracting(ActiveConsumer::active).containsExactly(true, false);
      assertThat(events.get(0).epoch()).isEqualTo(2);
    }
  }

  private static void send(Queue queue, Set<Long> sent, String text, int count) {
    queue
        .sendAll(IntStream.range(0, count).mapToObj(i -> Message.text(text)).toList())
        .forEach(id -> sent.add(id.value()));
  }
}
