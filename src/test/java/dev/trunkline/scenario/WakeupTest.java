package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.crash.Hushed;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.NotifyMode;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.ReceiveOptions;
import dev.trunkline.scenario.TamperedDataSource.Notifications;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;

/** Two Trunklines on one database know of each other what two processes know. */
@PostgresTest
class WakeupTest {
  private static final TrunklineConfig DEFAULTS =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  /** Looks by itself so seldom that what comes at once came by a notification. */
  private static final TrunklineConfig SELDOM =
      DEFAULTS
          .withHeartbeatTimeout(Duration.ofSeconds(60))
          .withPollInterval(Duration.ofSeconds(10));

  private static final Duration AT_ONCE = Duration.ofSeconds(4);
  private static final Duration BY_POLLING = Duration.ofSeconds(10);

  /** After that a consumer waits to be woken, and the processes know of each other. */
  private static final Duration UNTIL_NOBODY_LOOKS = Duration.ofMillis(1_700);

  private TestDatabase database;
  private final BlockingQueue<String> delivered = new LinkedBlockingQueue<>();

  @Test
  void messages_of_another_process_are_found_by_polling_where_no_notification_arrives()
      throws Exception {
    DataSource good = database.dataSource();
    DataSource lost = new TamperedDataSource(good, Notifications.LOST).dataSource();
    DataSource impossible = new TamperedDataSource(good, Notifications.IMPOSSIBLE).dataSource();
    try (Trunkline sender = Trunkline.open(good, DEFAULTS);
        Trunkline off = Trunkline.open(good, DEFAULTS.withNotifyMode(NotifyMode.OFF));
        Trunkline deaf = Trunkline.open(lost, DEFAULTS);
        Trunkline foreign = Trunkline.open(impossible, DEFAULTS);
        Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      List<Trunkline> receivers = List.of(off, deaf, foreign);
      List<Consumer> consumers = new ArrayList<>();
      for (int i = 0; i < receivers.size(); i++) {
        for (String sending : List.of("own-", "callers-")) {
          sender.queue(sending + i, QueueConfig.defaults());
          consumers.add(consume(receivers.get(i).queue(sending + i)));
        }
      }
      idle(UNTIL_NOBODY_LOOKS);

      for (int i = 0; i < receivers.size(); i++) {
        sender.queue("own-" + i).send(Message.text("own " + i));
        sender.queue("callers-" + i).send(caller, Message.text("caller's " + i));
      }
      caller.commit();

      List<String> found = new ArrayList<>();
      long end = System.nanoTime() + BY_POLLING.toNanos();
      while (found.size() < 6 && System.nanoTime() < end) {
        found.add(next(BY_POLLING));
      }
      assertThat(found)
          .containsExactlyInAnyOrder(
              "own 0", "own 1", "own 2", "caller's 0", "caller's 1", "caller's 2");
      consumers.forEach(Consumer::close);
    }
  }

  @Test
  void a_notification_wakes_those_who_wait_in_another_process() throws Exception {
    try (Trunkline sender = Trunkline.open(database.dataSource(), DEFAULTS);
        Trunkline receiver = Trunkline.open(database.dataSource(), SELDOM);
        Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      Queue own = sender.queue("own", QueueConfig.defaults());
      Queue callers = sender.queue("callers", QueueConfig.defaults());
      try (Consumer first = consume(receiver.queue("own"));
          Consumer second = consume(receiver.queue("callers"))) {
        idle(UNTIL_NOBODY_LOOKS);

        own.send(Message.text("own"));
        assertThat(next(AT_ONCE)).isEqualTo("own");

        callers.send(caller, Message.text("caller's"));
        assertThat(delivered.poll(100, TimeUnit.MILLISECONDS)).isNull();
        caller.commit();
        assertThat(next(AT_ONCE)).isEqualTo("caller's");

        own.send(Message.text("due").withDelay(Duration.ofMillis(300)));
        assertThat(next(AT_ONCE.plusMillis(300))).isEqualTo("due");
      }
    }
  }

  @Test
  void a_long_poll_is_woken_by_a_send_of_the_same_process() throws Exception {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), SELDOM)) {
      Queue queue = trunkline.queue("pulled", QueueConfig.defaults());
      ReceiveOptions patiently = ReceiveOptions.defaults().withMaxWait(Duration.ofSeconds(20));
      List<Long> took = new ArrayList<>();
      Thread receiving =
          new Thread(
              () -> {
                queue.ackAll(queue.receive(patiently));
                took.add(System.nanoTime());
              });
      receiving.start();
      idle(Duration.ofMillis(500));
      long sent = System.nanoTime();
      queue.send(Message.text("own"));
      receiving.join();

      assertThat(Duration.ofNanos(took.get(0) - sent)).isLessThan(AT_ONCE);
    }
  }

  @Test
  void a_listener_that_was_cut_off_listens_again_and_catches_up() throws Exception {
    try (Hushed hushed = Hushed.connectionTrouble();
        Trunkline sender = Trunkline.open(database.dataSource(), DEFAULTS);
        Trunkline receiver = Trunkline.open(database.dataSource(), SELDOM)) {
      Queue sending = sender.queue("cut-off", QueueConfig.defaults());
      try (Consumer consumer = consume(receiver.queue("cut-off"))) {
        idle(UNTIL_NOBODY_LOOKS);
        List<String> first = listeners();
        assertThat(first).hasSize(1);

        database.execute("SELECT pg_terminate_backend(" + first.get(0) + ", 5000)");
        sending.send(Message.text("missed"));
        assertThat(next(AT_ONCE.plus(AT_ONCE))).isEqualTo("missed");

        Awaits.until(() -> listeners().size() == 1 && !listeners().equals(first));
        idle(UNTIL_NOBODY_LOOKS);
        sending.send(Message.text("heard"));
        assertThat(next(AT_ONCE)).isEqualTo("heard");
      }
    }
  }

  @Test
  void an_idle_process_runs_one_statement_per_second_however_many_consumers_it_has()
      throws SQLException {
    TamperedDataSource counted =
        new TamperedDataSource(database.dataSource(), Notifications.ARRIVE);
    List<Consumer> consumers = new ArrayList<>();
    try (Trunkline trunkline = Trunkline.open(counted.dataSource(), DEFAULTS);
        Trunkline other = Trunkline.open(database.dataSource(), DEFAULTS)) {
      for (int i = 0; i < 5; i++) {
        Queue queue = trunkline.queue("idle-" + i, QueueConfig.defaults());
        consumers.add(consume(queue));
        consumers.add(consume(queue));
        queue.sendAll(List.of(Message.text("a"), Message.text("b").withPriority(9)));
      }
      Awaits.until(() -> delivered.size() == 10);
      idle(UNTIL_NOBODY_LOOKS);

      long before = counted.executed();
      idle(Duration.ofSeconds(4));
      assertThat(counted.executed() - before).isBetween(3L, 5L);
    } finally {
      consumers.forEach(Consumer::close);
    }
  }

  private Consumer consume(Queue queue) {
    return queue.consume(
        delivery -> {
          delivered.add(delivery.message().text());
          return Outcome.ack();
        });
  }

  private String next(Duration atMost) throws InterruptedException {
    return String.valueOf(delivered.poll(atMost.toMillis(), TimeUnit.MILLISECONDS));
  }

  private List<String> listeners() {
    return List.copyOf(
        database.texts(
            """
            SELECT pid
            FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'LISTEN%'
            """));
  }

  /** Lets time pass without anything happening. */
  private static void idle(Duration time) {
    Awaits.await().pollDelay(time).until(() -> true);
  }
}
