package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.QUICKLY_MISSED;
import static dev.trunkline.crash.OtherProcess.say;
import static dev.trunkline.crash.OtherProcess.stay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.queue.ReceiveOptions;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

@PostgresTest
class KilledProcessTest {
  private static final TrunklineConfig DEFAULTS =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  /** So long that nothing in a test is delivered again because of it. */
  private static final QueueConfig LONG_HIDDEN =
      QueueConfig.defaults().withVisibilityTimeout(Duration.ofMinutes(10));

  private static final QueueConfig LONG_HIDDEN_RETRIED_AT_ONCE =
      LONG_HIDDEN.withRetryPolicy(
          RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO).withMaxDeliveries(2));

  private TestDatabase database;

  /**
   * Two handlers that are done with some messages at once, so that it prefetches, never with
   * others.
   */
  static final class NeverDone {
    private NeverDone() {}

    public static void main(String[] arguments) {
      ConsumerConfig config = ConsumerConfig.defaults().withConcurrency(2).withPrefetch(10);
      OtherProcess.open(arguments, DEFAULTS)
          .queue("long", LONG_HIDDEN)
          .consume(
              config,
              delivery -> {
                if (!delivery.message().text().equals("quick")) {
                  say("running " + delivery.id().value());
                  stay();
                }
                return Outcome.ack();
              });
      stay();
    }
  }

  @Test
  void all_that_a_killed_process_held_is_delivered_elsewhere_within_ten_seconds() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), DEFAULTS);
        SecondJvm other = OtherProcess.running(NeverDone.class, database).start()) {
      Queue queue = trunkline.queue("long", LONG_HIDDEN);
      queue.sendAll(Collections.nCopies(300, Message.text("quick")));
      Awaits.until(() -> queue.stats().acked() == 300);
      List<Long> ids = send(queue, 10);
      other.awaitLine("running");
      Awaits.until(() -> runningIn(other).size() == 2);
      List<String> held = held();
      assertThat(held)
          .as("running, and what was prefetched by a machine that kept pace")
          .hasSizeGreaterThanOrEqualTo(2);
      Map<Long, Integer> attempts = new ConcurrentHashMap<>();

      long killed = System.nanoTime();
      other.kill();
      try (Consumer consumer =
          queue.consume(
              delivery -> {
                attempts.put(delivery.id().value(), delivery.attempt());
                return Outcome.ack();
              })) {
        Awaits.until(() -> attempts.size() == ids.size());
        assertThat(consumer.isClosed()).isFalse();
        assertThat(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - killed))
            .isLessThan(10_000 + 5 * hiccup());
      }

      assertThat(attempts.keySet()).containsExactlyInAnyOrderElementsOf(ids);
      for (long id : ids) {
        assertThat(attempts)
            .as("a lost delivery counts, whether its handler had begun or not")
            .containsEntry(id, held.contains(String.valueOf(id)) ? 2 : 1);
      }
    }
  }

  /** How much too late, in milliseconds, the latest heartbeat of a living process was. */
  private long hiccup() {
    return database.number(
        """
        SELECT greatest(0, coalesce(extract(epoch FROM max(gap)), 0) * 1000 - 1100)::bigint
        FROM (
          SELECT beat_at - lag(beat_at) OVER (PARTITION BY consumer_id ORDER BY beat_at) AS gap
          FROM trunkline.heartbeat
        ) beats
        """);
  }

  /** Dies of a certain message each time. */
  static final class Poisoned {
    private Poisoned() {}

    public static void main(String[] arguments) {
      OtherProcess.open(arguments, QUICKLY_MISSED)
          .queue("poisoned", LONG_HIDDEN_RETRIED_AT_ONCE)
          .consume(
              ConsumerConfig.defaults().withConcurrency(1),
              delivery -> {
                if (delivery.message().text().equals("poison")) {
                  Runtime.getRuntime().halt(9);
                }
                return Outcome.ack();
              });
      stay();
    }
  }

  @Test
  void a_message_that_kills_its_process_each_time_ends_in_the_dead_letters() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED)) {
      Queue queue = trunkline.queue("poisoned", LONG_HIDDEN_RETRIED_AT_ONCE);
      queue.send(Message.text("poison"));

      for (int death = 1; death <= 2; death++) {
        try (SecondJvm victim = OtherProcess.running(Poisoned.class, database).start()) {
          assertThat(victim.awaitExit(Duration.ofSeconds(30))).isEqualTo(9);
        }
      }

      Awaits.until(() -> queue.stats().dead() == 1);
      List<DeadLetter> letters = queue.deadLetters().browse(10);
      assertThat(letters).hasSize(1);
      assertThat(letters.get(0).reason()).isEqualTo(DeathReason.LEASE_EXPIRED);
      assertThat(letters.get(0).deliveries()).isEqualTo(2);
      assertThat(letters.get(0).message().text()).isEqualTo("poison");
      assertThat(queue.stats().ready() + queue.stats().inFlight()).isZero();
    }
  }

  /** Receives, is frozen by the test, and settles when it is told to. */
  static final class Frozen {
    private Frozen() {}

    public static void main(String[] arguments) throws Exception {
      Queue queue =
          OtherProcess.open(arguments, QUICKLY_MISSED).queue("frozen", LONG_HIDDEN_RETRIED_AT_ONCE);
      ReceiveOptions patiently = ReceiveOptions.defaults().withMaxWait(Duration.ofSeconds(30));
      List<Delivery> before = queue.receive(patiently);
      say("received " + before.size());
      awaitWord(arguments, "late");
      Iterator<Delivery> late = before.iterator();
      settle("ack", () -> late.next().ack());
      settle("retry", () -> late.next().retry());
      settle("dead letter", () -> late.next().deadLetter("too late"));
      settle("extend", () -> late.next().extend(Duration.ofMinutes(1)));
      say("settled all");
      awaitWord(arguments, "again");
      queue.receive(patiently).forEach(delivery -> settle("new ack", delivery::ack));
      stay();
    }

    private static void settle(String what, Runnable settling) {
      try {
        settling.run();
        say(what + " done");
      } catch (LeaseLostException e) {
        say(what + " refused");
      }
    }

    private static void awaitWord(String[] arguments, String word) throws SQLException {
      try (Connection connection =
          DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
        Awaits.until(
            () -> {
              try (var statement = connection.createStatement();
                  var rows = statement.executeQuery("SELECT word FROM word")) {
                while (rows.next()) {
                  if (rows.getString(1).equals(word)) {
                    return true;
                  }
                }
                return false;
              }
            });
      }
    }
  }

  @Test
  void a_process_that_was_frozen_and_declared_dead_settles_nothing_late_and_goes_on()
      throws Exception {
    database.execute("CREATE TABLE word (word text)");
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(Frozen.class, database).start()) {
      Queue queue = trunkline.queue("frozen", LONG_HIDDEN_RETRIED_AT_ONCE);
      List<Long> ids = send(queue, 4);
      other.awaitLine("received 4");
      assertThat(heldBy(other)).containsExactlyInAnyOrderElementsOf(ids);

      signal("-STOP", other);
      List<Delivery> redelivered =
          queue.receive(ReceiveOptions.defaults().withMaxWait(Duration.ofSeconds(20)));
      assertThat(redelivered).hasSize(4).allMatch(delivery -> delivery.attempt() == 2);
      signal("-CONT", other);
      database.execute("INSERT INTO word VALUES ('late')");
      other.awaitLine("settled all");

      assertThat(other.lines())
          .contains("ack refused", "retry refused", "dead letter refused", "extend refused");
      queue.ackAll(redelivered);
      assertThat(queue.stats())
          .returns(4L, QueueStats::acked)
          .returns(0L, QueueStats::dead)
          .returns(0L, QueueStats::ready)
          .returns(0L, QueueStats::inFlight);

      Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.consumer") == 2);
      queue.send(Message.text("more"));
      database.execute("INSERT INTO word VALUES ('again')");
      other.awaitLine("new ack done");
      assertThat(queue.stats().acked()).isEqualTo(5);
    }
  }

  /** Is killed while it sends: one send of many batches, and one in a transaction of its own. */
  static final class HalfSent {
    private HalfSent() {}

    public static void main(String[] arguments) throws Exception {
      Queue queue = OtherProcess.open(arguments, DEFAULTS).queue("half", QueueConfig.defaults());
      Connection connection = DriverManager.getConnection(arguments[0], arguments[1], arguments[2]);
      connection.setAutoCommit(false);
      queue.sendAll(connection, messages(100));
      queue.send(connection, Message.text("later").withDelay(Duration.ofSeconds(1)));
      say("sent in a transaction");
      Iterable<Message> endless =
          () ->
              Stream.concat(
                      messages(9_000).stream(),
                      Stream.generate(
                          () -> {
                            say("half sent");
                            stay();
                            return Message.text("never");
                          }))
                  .iterator();
      queue.sendAll(endless);
    }
  }

  @Test
  void a_process_killed_while_it_sends_leaves_nothing() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(HalfSent.class, database).start()) {
      Queue queue = trunkline.queue("half", QueueConfig.defaults());
      other.awaitLine("sent in a transaction");
      other.awaitLine("half sent");
      String writers =
          """
          SELECT count(*)
          FROM pg_stat_activity
          WHERE datname = current_database() AND backend_xid IS NOT NULL
          """;
      assertThat(database.number(writers)).isEqualTo(2);

      other.kill();

      Awaits.until(() -> database.number(writers) == 0);
      assertThat(database.number("SELECT count(*) FROM trunkline.message")).isZero();
      assertThat(database.number("SELECT count(*) FROM trunkline.ready")).isZero();
      assertThat(database.number("SELECT count(*) FROM trunkline.scheduled")).isZero();
      assertThat(queue.stats().sent()).isZero();
    }
  }

  private static List<Long> send(Queue queue, int count) {
    return queue.sendAll(messages(count)).stream().map(id -> id.value()).toList();
  }

  private static List<Message> messages(int count) {
    return IntStream.range(0, count).mapToObj(i -> Message.text("message " + i)).toList();
  }

  private List<Long> heldBy(SecondJvm other) {
    return database
        .texts(
            """
            SELECT unnest(l.ids)
            FROM trunkline.lease l
            JOIN trunkline.consumer c ON c.id = l.consumer_id
            WHERE c.pid = ?
            """,
            other.pid())
        .stream()
        .map(Long::valueOf)
        .toList();
  }

  private static void signal(String signal, SecondJvm other)
      throws IOException, InterruptedException {
    Process kill = new ProcessBuilder("kill", signal, String.valueOf(other.pid())).start();
    assertThat(kill.waitFor()).isZero();
  }

  private List<String> held() {
    return List.copyOf(database.texts("SELECT unnest(ids) FROM trunkline.lease"));
  }

  private static List<String> runningIn(SecondJvm other) {
    return other.lines().stream().filter(line -> line.startsWith("running")).toList();
  }
}
