package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.QUICKLY_MISSED;
import static dev.trunkline.crash.OtherProcess.say;
import static dev.trunkline.crash.OtherProcess.stay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.PollOptions;
import dev.trunkline.topic.SharedConsumerConfig;
import dev.trunkline.topic.SharedDelivery;
import dev.trunkline.topic.SharedGroup;
import dev.trunkline.topic.SharedGroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@PostgresTest
class SharedGroupKillTest {
  private static final int RECORDS = 300;
  private static final Duration SESSION = Duration.ofMillis(1_500);

  /** Hidden for so long that nothing in a test is delivered again because of it. */
  private static final SharedGroupConfig CONFIG =
      SharedGroupConfig.from(StartFrom.earliest())
          .withVisibilityTimeout(Duration.ofMinutes(10))
          .withSessionTimeout(SESSION)
          .withRetryPolicy(
              RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO).withMaxDeliveries(2));

  private TestDatabase database;

  private static Topic topic(Trunkline trunkline) {
    return trunkline.topic("orders", TopicConfig.defaults().withPartitions(2));
  }

  /** Is done with some records at once, never with others; or dies of one. */
  static final class Victim {
    private Victim() {}

    public static void main(String[] arguments) {
      topic(OtherProcess.open(arguments, QUICKLY_MISSED))
          .sharedGroup("billing", CONFIG)
          .consume(
              SharedConsumerConfig.defaults().withConcurrency(2).withPrefetch(20),
              delivery -> {
                String text = delivery.message().text();
                if (text.equals("poison")) {
                  Runtime.getRuntime().halt(9);
                }
                if (text.startsWith("wait")) {
                  say("waiting " + text);
                  awaitThaw();
                  say(ack(delivery) + " " + text);
                  return Outcome.ack();
                }
                if (Integer.parseInt(text) % 50 == 49) {
                  say("running " + text);
                  stay();
                }
                say("done " + text);
                return Outcome.ack();
              });
      stay();
    }

    /** Until the clock jumps: the process stood still. */
    private static void awaitThaw() {
      AtomicLong last = new AtomicLong(System.nanoTime());
      Awaits.until(
          () -> {
            long now = System.nanoTime();
            return now - last.getAndSet(now) > SESSION.toNanos() / 2;
          });
    }

    private static String ack(SharedDelivery delivery) {
      try {
        delivery.ack();
        return "acked";
      } catch (LeaseLostException e) {
        return "refused";
      }
    }
  }

  @Test
  void what_a_killed_process_held_is_delivered_elsewhere_within_the_session_timeout() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm victim = OtherProcess.running(Victim.class, database).start()) {
      Topic topic = topic(trunkline);
      SharedGroup billing = topic.sharedGroup("billing", CONFIG);
      topic.publishAll(
          IntStream.range(0, RECORDS)
              .mapToObj(i -> Message.text(String.valueOf(i)).withKey("key-" + i))
              .toList());
      victim.awaitLine("running");
      Awaits.until(
          () -> victim.lines().stream().filter(line -> line.startsWith("running")).count() == 2);
      long held =
          database.number("SELECT coalesce(sum(cardinality(ids)), 0) FROM trunkline.shared_lease");
      assertThat(held).isGreaterThanOrEqualTo(2);

      victim.kill();
      long killed = System.nanoTime();
      Map<String, Integer> attempts = new ConcurrentHashMap<>();
      Queue<Long> redelivered = new ConcurrentLinkedQueue<>();
      billing.consume(
          delivery -> {
            attempts.merge(delivery.message().text(), delivery.attempt(), Math::max);
            if (delivery.attempt() > 1) {
              redelivered.add(System.nanoTime() - killed);
            }
            return Outcome.ack();
          });
      Awaits.until(() -> billing.lag().stream().allMatch(lag -> lag.records() == 0));

      assertThat(redelivered)
          .as("the dead one's")
          .isNotEmpty()
          .allMatch(after -> after < SESSION.plusSeconds(2).toNanos());
      assertThat(attempts.values()).allMatch(attempt -> attempt <= 2);
      for (int i = 0; i < RECORDS; i++) {
        String text = String.valueOf(i);
        assertThat(attempts.containsKey(text) || victim.lines().contains("done " + text))
            .as("record %s was handled", text)
            .isTrue();
      }
      assertThat(database.number("SELECT count(*) FROM trunkline.dead_letter")).isZero();
    }
  }

  @Test
  @Tag("torture")
  void a_record_that_kills_its_process_each_time_ends_in_the_dead_letters() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED)) {
      Topic topic = topic(trunkline);
      topic.sharedGroup("billing", CONFIG);
      topic.publish(Message.text("poison"));

      for (int death = 1; death <= 2; death++) {
        try (SecondJvm victim = OtherProcess.running(Victim.class, database).start()) {
          assertThat(victim.awaitExit(Duration.ofSeconds(30))).isEqualTo(9);
        }
      }
      try (SharedGroup survivor = topic.sharedGroup("billing", CONFIG)) {
        survivor.consume(delivery -> Outcome.release(Duration.ofMinutes(5)));
        Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.dead_letter") == 1);
      }

      assertThat(
              database.text(
                  "SELECT concat_ws(' ', group_name, reason, deliveries) FROM trunkline.dead_letter"))
          .isEqualTo("billing LEASE_EXPIRED 2");
    }
  }

  /** Has done its work, and does not come to the end of its handler. */
  static final class HalfWay {
    private HalfWay() {}

    public static void main(String[] arguments) {
      topic(OtherProcess.open(arguments, QUICKLY_MISSED))
          .sharedGroup("billing", CONFIG)
          .consumeTransactionally(
              SharedConsumerConfig.defaults().withConcurrency(1),
              (delivery, connection) -> {
                effect(connection, delivery);
                say("half way");
                stay();
                return Outcome.ack();
              });
      stay();
    }
  }

  private static void effect(Connection connection, SharedDelivery delivery) throws SQLException {
    try (PreparedStatement insert = connection.prepareStatement("INSERT INTO effect VALUES (?)")) {
      insert.setString(1, delivery.message().text());
      insert.executeUpdate();
    }
  }

  @Test
  void what_a_killed_process_had_done_in_its_transaction_is_done_once_by_another() {
    database.execute("DROP TABLE IF EXISTS effect; CREATE TABLE effect (note text)");
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(HalfWay.class, database).start()) {
      Topic topic = topic(trunkline);
      SharedGroup billing = topic.sharedGroup("billing", CONFIG);
      topic.publishAll(
          IntStream.range(0, 3).mapToObj(i -> Message.text(String.valueOf(i))).toList());
      other.awaitLine("half way");
      other.kill();
      Map<String, Integer> calls = new ConcurrentHashMap<>();
      billing.consumeTransactionally(
          (delivery, connection) -> {
            calls.merge(delivery.message().text(), 1, Integer::sum);
            effect(connection, delivery);
            return Outcome.ack();
          });
      topic.endOffsets();
      Awaits.until(() -> billing.lag().stream().allMatch(lag -> lag.records() == 0));

      assertThat(calls).isEqualTo(Map.of("0", 1, "1", 1, "2", 1));
      assertThat(database.texts("SELECT note FROM effect ORDER BY note"))
          .containsExactly("0", "1", "2");
    }
  }

  @Test
  void a_frozen_process_that_wakes_can_settle_nothing_and_then_goes_on() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm frozen = OtherProcess.running(Victim.class, database).start()) {
      Topic topic = topic(trunkline);
      SharedGroup billing = topic.sharedGroup("billing", CONFIG);
      topic.publish(Message.text("wait 1"));
      frozen.awaitLine("waiting wait 1");

      frozen.freeze();
      SharedDelivery again =
          billing.receive(PollOptions.defaults().withMaxWait(Duration.ofSeconds(20))).get(0);
      assertThat(again.attempt()).isEqualTo(2);
      frozen.thaw();
      frozen.awaitLine("refused wait 1");
      again.ack();

      topic.publish(Message.text("1"));
      frozen.awaitLine("done 1");
      Awaits.until(() -> billing.lag().stream().allMatch(lag -> lag.records() == 0));
      assertThat(database.number("SELECT count(*) FROM trunkline.dead_letter")).isZero();
    }
  }
}
