package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Bounds;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** More is sent than can be handled. The benchmark does the same for a minute, and measures it. */
@PostgresTest
class OverloadTest {
  private static final int BOUND = 200;
  private static final int SENDERS = 3;
  private static final int HANDLERS = 2;
  private static final Duration SECONDS = Duration.ofSeconds(4);

  private TestDatabase database;

  @Test
  void senders_are_slowed_to_the_rate_of_the_consumer_the_backlog_is_bounded_nothing_is_lost()
      throws Exception {
    Set<MessageId> sent = ConcurrentHashMap.newKeySet();
    Set<MessageId> handled = ConcurrentHashMap.newKeySet();
    AtomicBoolean stop = new AtomicBoolean();
    ExecutorService threads = Executors.newFixedThreadPool(SENDERS);
    try (Trunkline trunkline =
        Trunkline.open(
            database.dataSource(),
            TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF))) {
      Queue queue =
          trunkline.queue("overload", QueueConfig.defaults().withBounds(Bounds.messages(BOUND)));
      Consumer consumer =
          queue.consume(
              ConsumerConfig.defaults().withConcurrency(HANDLERS),
              delivery -> {
                LockSupport.parkNanos(Duration.ofMillis(5).toNanos());
                handled.add(delivery.id());
                return Outcome.ack();
              });
      Future<?>[] sending = new Future<?>[SENDERS];
      for (int i = 0; i < SENDERS; i++) {
        sending[i] =
            threads.submit(
                () -> {
                  while (!stop.get()) {
                    sent.add(queue.send(Message.text("m")));
                  }
                });
      }
      long deepest = 0;
      Awaits.until(() -> waiting(queue) > BOUND / 2);
      int sentWhenFull = sent.size();
      int handledWhenFull = handled.size();
      long end = System.nanoTime() + SECONDS.toNanos();
      while (System.nanoTime() < end) {
        deepest = Math.max(deepest, waiting(queue));
      }
      double sentMeanwhile = sent.size() - sentWhenFull;
      double handledMeanwhile = handled.size() - handledWhenFull;
      stop.set(true);
      for (Future<?> sender : sending) {
        sender.get(30, TimeUnit.SECONDS);
      }
      Awaits.await()
          .atMost(Duration.ofSeconds(40))
          .until(() -> queue.stats().acked() == sent.size());
      consumer.close();

      assertThat(deepest).isBetween((long) BOUND * 8 / 10, (long) BOUND);
      assertThat(sentMeanwhile).isBetween(0.7 * handledMeanwhile, 1.3 * handledMeanwhile + BOUND);
      assertThat(handled).isEqualTo(sent);
    } finally {
      stop.set(true);
      threads.shutdownNow();
    }
  }

  private static long waiting(Queue queue) {
    QueueStats stats = queue.stats();
    return stats.ready() + stats.scheduled();
  }
}
