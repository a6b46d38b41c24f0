package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.say;
import static dev.trunkline.crash.OtherProcess.stay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

@PostgresTest
class CompetingProcessesTest {
  private static final int MESSAGES = 20_000;

  /** What each process has to have handled for the two to have competed. */
  private static final int SHARE = MESSAGES / 50;

  /** Nobody is declared dead and no lease expires, however busy the machine is. */
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults()
          .withMigrationMode(MigrationMode.OFF)
          .withHeartbeatTimeout(Duration.ofMinutes(2));

  private static final QueueConfig CONFIG =
      QueueConfig.defaults()
          .withVisibilityTimeout(Duration.ofMinutes(10))
          .withRetryPolicy(
              RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO).withMaxDeliveries(3));

  private TestDatabase database;

  /** What a process said of one delivery. */
  private record Handled(long id, int acquired, int attempt, String outcome) {
    static Handled of(String line) {
      String[] parts = line.split(" ");
      return new Handled(
          Long.parseLong(parts[1]),
          Integer.parseInt(parts[2]),
          Integer.parseInt(parts[3]),
          parts[4]);
    }

    boolean isLast() {
      return outcome.equals("ack") || outcome.equals("dead") || attempt == 3 && counts();
    }

    private boolean counts() {
      return outcome.equals("retry");
    }
  }

  static final class Competitor {
    private Competitor() {}

    public static void main(String[] arguments) {
      compete(OtherProcess.open(arguments, OPENED), line -> say(line));
      stay();
    }
  }

  private static Consumer compete(Trunkline trunkline, java.util.function.Consumer<String> log) {
    return trunkline
        .queue("contested", CONFIG)
        .consume(
            ConsumerConfig.defaults().withConcurrency(8).withPrefetch(100),
            delivery -> {
              String outcome = decide(delivery);
              log.accept(
                  "handled %d %d %d %s"
                      .formatted(
                          delivery.id().value(), delivery.acquired(), delivery.attempt(), outcome));
              return switch (outcome) {
                case "retry" -> Outcome.retry();
                case "release" -> Outcome.release();
                case "dead" -> Outcome.deadLetter("by lot");
                default -> Outcome.ack();
              };
            });
  }

  /** By lot, but the same in each process. */
  private static String decide(Delivery delivery) {
    int lot = new SplittableRandom(delivery.id().value() * 31 + delivery.acquired()).nextInt(100);
    return lot < 80 ? "ack" : lot < 89 ? "retry" : lot < 96 ? "release" : "dead";
  }

  @Test
  void two_processes_deliver_everything_and_nothing_twice_as_long_as_no_lease_is_lost() {
    ConcurrentLinkedQueue<String> here = new ConcurrentLinkedQueue<>();
    List<Long> sent = new ArrayList<>();
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), OPENED);
        SecondJvm other = OtherProcess.running(Competitor.class, database).start()) {
      Queue queue = trunkline.queue("contested", CONFIG);
      Consumer consumer = compete(trunkline, here::add);
      while (sent.size() < MESSAGES) {
        send(queue, sent);
      }
      // Where the machine is slow to start the other process, there is nothing left for it.
      Awaits.await()
          .atMost(Duration.ofSeconds(60))
          .until(
              () -> {
                boolean both = other.lines().size() > SHARE && here.size() > SHARE;
                if (!both && queue.stats().ready() < MESSAGES) {
                  send(queue, sent);
                }
                return both;
              });
      Awaits.await()
          .atMost(Duration.ofSeconds(60))
          .until(
              () -> {
                QueueStats stats = queue.stats();
                return stats.acked() + stats.dead() == sent.size();
              });
      consumer.close();

      // The other process's lines come through a pipe: they may be behind its database.
      Awaits.until(
          () -> history(here, other).stream().filter(Handled::isLast).count() >= sent.size());
      List<Handled> history = history(here, other);
      check(history, sent);
      assertThat(queue.stats().dead())
          .isEqualTo(
              history.stream().filter(h -> h.isLast() && !h.outcome().equals("ack")).count());
    }
  }

  private static List<Handled> history(Collection<String> here, SecondJvm other) {
    return Stream.concat(here.stream(), other.lines().stream()).map(Handled::of).toList();
  }

  private static void send(Queue queue, List<Long> sent) {
    queue
        .sendAll(IntStream.range(0, 500).mapToObj(i -> Message.text("m")).toList())
        .forEach(id -> sent.add(id.value()));
  }

  private static void check(List<Handled> history, List<Long> sent) {
    Map<Long, List<Handled>> byId = new HashMap<>();
    history.forEach(h -> byId.computeIfAbsent(h.id(), id -> new ArrayList<>()).add(h));
    assertThat(byId.keySet()).containsExactlyInAnyOrderElementsOf(sent);
    byId.forEach(
        (id, deliveries) -> {
          deliveries.sort(Comparator.comparingInt(Handled::acquired));
          assertThat(deliveries)
              .as("claims of message " + id)
              .extracting(Handled::acquired)
              .isEqualTo(IntStream.rangeClosed(1, deliveries.size()).boxed().toList());
          int attempt = 1;
          for (Handled delivery : deliveries) {
            assertThat(delivery.attempt()).as("attempt of " + delivery).isEqualTo(attempt);
            attempt += delivery.counts() ? 1 : 0;
          }
          assertThat(deliveries.subList(0, deliveries.size() - 1))
              .as("settled for good, and delivered again: " + deliveries)
              .noneMatch(Handled::isLast);
          assertThat(deliveries.get(deliveries.size() - 1).isLast()).isTrue();
        });
  }
}
