package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.QUICKLY_MISSED;
import static dev.trunkline.crash.OtherProcess.say;
import static dev.trunkline.crash.OtherProcess.stay;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.TransactionalHandler;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A transactional handler whose process dies, or stands still, in the middle. */
@PostgresTest
class KilledTransactionTest {
  private static final QueueConfig CONFIG =
      QueueConfig.defaults()
          .withVisibilityTimeout(Duration.ofSeconds(2))
          .withRetryPolicy(
              RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO).withMaxDeliveries(9));

  private TestDatabase database;

  @BeforeEach
  void a_table_of_the_users() {
    database.execute("DROP TABLE IF EXISTS effect; CREATE TABLE effect (message_id bigint)");
  }

  /** Has done its work, and does not come to the end of its handler. */
  static final class HalfWay {
    private HalfWay() {}

    public static void main(String[] arguments) {
      Trunkline trunkline = OtherProcess.open(arguments, QUICKLY_MISSED);
      Queue next = trunkline.queue("next", CONFIG);
      trunkline
          .queue("half", CONFIG)
          .consumeTransactionally(
              ConsumerConfig.defaults().withConcurrency(1),
              (delivery, connection) -> {
                insert(connection, delivery.id());
                next.send(connection, Message.text("follow-up"));
                say("half way");
                stay();
                return Outcome.ack();
              });
      stay();
    }
  }

  @Test
  void what_a_killed_process_had_done_in_its_transaction_is_done_once_by_another() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(HalfWay.class, database).start()) {
      Queue queue = trunkline.queue("half", CONFIG);
      Queue next = trunkline.queue("next", CONFIG);
      List<MessageId> ids = queue.sendAll(Collections.nCopies(3, Message.text("order")));
      other.awaitLine("half way");
      other.kill();
      handleTheRest(queue, next, ids);
    }
  }

  @Test
  void a_process_that_stands_still_in_its_transaction_is_cut_off_and_commits_nothing_late()
      throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(HalfWay.class, database).start()) {
      Queue queue = trunkline.queue("half", CONFIG);
      Queue next = trunkline.queue("next", CONFIG);
      List<MessageId> ids = queue.sendAll(Collections.nCopies(3, Message.text("order")));
      other.awaitLine("half way");
      signal("-STOP", other);
      handleTheRest(queue, next, ids);
      signal("-CONT", other);
      Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.consumer") == 2);
      assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(3);
      assertThat(next.stats().sent()).isEqualTo(3);
    }
  }

  /** Has taken ten for good, and handled one. */
  static final class TakesForGood {
    private TakesForGood() {}

    public static void main(String[] arguments) {
      OtherProcess.open(arguments, QUICKLY_MISSED)
          .queue("once", CONFIG)
          .consumeAtMostOnce(
              ConsumerConfig.defaults().withConcurrency(1).withPrefetch(5),
              message -> {
                say("handled " + message.id().value());
                stay();
              });
      stay();
    }
  }

  @Test
  void what_a_killed_process_had_taken_for_good_is_lost_and_never_delivered_twice() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(TakesForGood.class, database).start()) {
      Queue queue = trunkline.queue("once", CONFIG);
      List<Long> ids =
          queue.sendAll(Collections.nCopies(20, Message.text("metric"))).stream()
              .map(MessageId::value)
              .toList();
      long handled = Long.parseLong(other.awaitLine("handled (\\d+)").group(1));
      other.kill();
      Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.consumer") == 1);

      List<Long> rest =
          queue.receiveAndDelete(100).stream().map(message -> message.id().value()).toList();

      assertThat(rest).doesNotContain(handled).isSubsetOf(ids);
      assertThat(ids.size() - rest.size()).as("handled or lost").isBetween(1, 5);
      assertThat(queue.receiveAndDelete(100)).isEmpty();
      assertThat(database.number("SELECT count(*) FROM trunkline.message")).isZero();
    }
  }

  private void handleTheRest(Queue queue, Queue next, List<MessageId> ids) {
    Map<Long, Integer> attempts = new ConcurrentHashMap<>();
    TransactionalHandler handler =
        (delivery, connection) -> {
          attempts.merge(delivery.id().value(), 1, Integer::sum);
          insert(connection, delivery.id());
          next.send(connection, Message.text("follow-up"));
          return Outcome.ack();
        };
    try (Consumer consumer = queue.consumeTransactionally(handler)) {
      Awaits.until(() -> queue.stats().acked() == 3);
    }
    assertThat(attempts).hasSize(3).allSatisfy((id, calls) -> assertThat(calls).isEqualTo(1));
    assertThat(database.texts("SELECT message_id FROM effect"))
        .containsExactlyInAnyOrderElementsOf(
            ids.stream().map(id -> String.valueOf(id.value())).toList());
    assertThat(next.stats().sent()).isEqualTo(3);
    next.purge();
  }

  private static void insert(Connection connection, MessageId id) throws SQLException {
    try (PreparedStatement insert = connection.prepareStatement("INSERT INTO effect VALUES (?)")) {
      insert.setLong(1, id.value());
      insert.executeUpdate();
    }
  }

  private static void signal(String signal, SecondJvm other)
      throws IOException, InterruptedException {
    Process kill = new ProcessBuilder("kill", signal, String.valueOf(other.pid())).start();
    assertThat(kill.waitFor()).isZero();
  }
}
