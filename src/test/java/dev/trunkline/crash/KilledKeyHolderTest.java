package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.QUICKLY_MISSED;
import static dev.trunkline.crash.OtherProcess.say;
import static dev.trunkline.crash.OtherProcess.stay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Handler;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A process that holds keys of a FIFO queue is killed in the middle of its work. */
@PostgresTest
class KilledKeyHolderTest {
  private static final int KEYS = 20;
  private static final int EACH = 100;

  private static final QueueConfig FIFO =
      QueueConfig.defaults()
          .withVisibilityTimeout(Duration.ofMinutes(10))
          .withRetryPolicy(RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO))
          .withFifoByKey(FailurePolicy.BLOCK);

  private TestDatabase database;

  static final class Handles {
    private Handles() {}

    public static void main(String[] arguments) {
      OtherProcess.open(arguments, QUICKLY_MISSED)
          .queue("fifo", FIFO)
          .consume(ConsumerConfig.defaults().withConcurrency(4), handler(line -> say(line)));
      stay();
    }
  }

  private static Handler handler(java.util.function.Consumer<String> log) {
    return delivery -> {
      log.accept(
          "handled %s %s"
              .formatted(delivery.message().key().orElseThrow(), delivery.message().text()));
      return Outcome.ack();
    };
  }

  @Test
  void nothing_is_lost_and_each_key_goes_on_where_the_killed_process_was() {
    ConcurrentLinkedQueue<String> here = new ConcurrentLinkedQueue<>();
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(Handles.class, database).start()) {
      Queue queue = trunkline.queue("fifo", FIFO);
      send(queue, 0, EACH / 2);
      other.awaitLine("handled");
      Consumer consumer =
          queue.consume(ConsumerConfig.defaults().withConcurrency(4), handler(here::add));
      send(queue, EACH / 2, EACH);
      Awaits.until(() -> other.lines().size() > 50);
      other.kill();
      Awaits.await()
          .atMost(Duration.ofSeconds(60))
          .until(() -> queue.stats().acked() == KEYS * EACH);
      consumer.close();

      Map<String, List<Integer>> there = byKey(other.lines());
      Map<String, List<Integer>> mine = byKey(here);
      for (int k = 0; k < KEYS; k++) {
        String key = "k" + k;
        List<Integer> a = there.getOrDefault(key, List.of());
        List<Integer> b = mine.getOrDefault(key, List.of());
        List<Integer> all = new ArrayList<>(a);
        all.addAll(b);
        assertThat(all).as(key).containsAll(IntStream.range(0, EACH).boxed().toList());
        assertThat(a).as("there: " + key).isSorted();
        // What the other process had handled, but not settled when it died, is repeated, in order.
        assertThat(b).as("here: " + key).isSorted().doesNotHaveDuplicates();
      }
    }
  }

  private static void send(Queue queue, int from, int to) {
    for (int i = from; i < to; i++) {
      String text = String.valueOf(i);
      queue.sendAll(
          IntStream.range(0, KEYS).mapToObj(k -> Message.text(text).withKey("k" + k)).toList());
    }
  }

  private static Map<String, List<Integer>> byKey(Iterable<String> lines) {
    Map<String, List<Integer>> byKey = new HashMap<>();
    for (String line : lines) {
      String[] parts = line.split(" ");
      if (parts.length == 3 && parts[0].equals("handled")) {
        byKey.computeIfAbsent(parts[1], k -> new ArrayList<>()).add(Integer.valueOf(parts[2]));
      }
    }
    return byKey;
  }
}
