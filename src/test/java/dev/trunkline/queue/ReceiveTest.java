package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ReceiveTest extends QueueFixture {

  @Test
  void an_empty_queue_answers_nothing_without_waiting() {
    Duration took = timed(() -> queue.receive(10)).took();

    assertThat(took).isLessThan(Duration.ofSeconds(10));
    assertThat(queue.receive(10)).isEmpty();
  }

  @Test
  void a_long_poll_ends_when_its_time_is_over() {
    Timed<List<Delivery>> polled = timed(() -> queue.receive(waiting(Duration.ofMillis(400))));

    assertThat(polled.value()).isEmpty();
    assertThat(polled.took()).isBetween(Duration.ofMillis(400), Duration.ofSeconds(10));
  }

  @Test
  void a_long_poll_answers_as_soon_as_something_is_sent() throws Exception {
    ExecutorService threads = Executors.newSingleThreadExecutor();
    try {
      Future<List<Delivery>> polling = threads.submit(() -> queue.receive(waiting(PATIENCE)));
      Awaits.until(this::somebodyWaits);

      MessageId id = send("a");

      // Less than a look of its own would take when it has waited for long.
      assertThat(ids(polling.get(5, TimeUnit.SECONDS))).containsExactly(id);
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void a_long_poll_answers_what_is_there_and_does_not_wait_for_more() {
    sendAll("a", "b");

    Timed<List<Delivery>> polled =
        timed(() -> queue.receive(waiting(PATIENCE).withMaxMessages(100)));

    assertThat(polled.value()).hasSize(2);
    assertThat(polled.took()).isLessThan(Duration.ofSeconds(5));
  }

  @Test
  void a_long_poll_that_lets_a_stream_gather_gets_what_was_sent_meanwhile() {
    sendAll("1", "2", "3", "4", "5", "6", "7", "8", "9", "10");
    ReceiveOptions options = waiting(PATIENCE).withMaxMessages(100);
    assertThat(queue.receive(options)).hasSize(10);

    MessageId id = send("11");

    assertThat(ids(queue.receive(options))).containsExactly(id);
  }

  @Test
  void a_long_poll_that_lets_a_stream_gather_can_be_interrupted() {
    sendAll("1", "2", "3", "4", "5", "6", "7", "8", "9", "10");
    ReceiveOptions options = waiting(Duration.ofHours(1)).withMaxMessages(100);
    assertThat(queue.receive(options)).hasSize(10);

    Thread.currentThread().interrupt();
    try {
      assertThat(queue.receive(options)).isEmpty();
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void a_long_poll_that_is_interrupted_answers_nothing_and_leaves_the_flag() throws Exception {
    boolean[] flag = new boolean[1];
    List<Delivery> answered = new ArrayList<>(List.of());
    Thread poller =
        new Thread(
            () -> {
              answered.addAll(queue.receive(waiting(Duration.ofMinutes(1))));
              flag[0] = Thread.currentThread().isInterrupted();
            });
    poller.start();
    Awaits.until(this::somebodyWaits);

    poller.interrupt();
    poller.join(PATIENCE.toMillis());

    assertThat(poller.isAlive()).isFalse();
    assertThat(answered).isEmpty();
    assertThat(flag[0]).isTrue();
  }

  @Test
  void a_thread_that_is_interrupted_already_receives_nothing_even_from_a_cold_pool() {
    HikariDataSource pool = database.pool(config -> config.setMinimumIdle(0));
    Trunkline cold = Trunkline.open(pool, OPENED);
    try {
      Queue sameQueue = cold.queue("orders");
      pool.getHikariPoolMXBean().softEvictConnections();

      Thread.currentThread().interrupt();
      List<Delivery> received = sameQueue.receive(waiting(Duration.ofMinutes(1)));

      assertThat(Thread.interrupted()).isTrue();
      assertThat(received).isEmpty();
    } finally {
      Thread.interrupted();
      cold.close();
      pool.close();
    }
  }

  @Test
  void a_long_poll_ends_when_its_trunkline_is_closed() throws Exception {
    ExecutorService threads = Executors.newSingleThreadExecutor();
    try {
      Future<List<Delivery>> polling =
          threads.submit(() -> queue.receive(waiting(Duration.ofMinutes(1))));
      Awaits.until(this::somebodyWaits);

      trunkline.close();

      assertThat(polling.get(5, TimeUnit.SECONDS)).isEmpty();
      assertThatThrownBy(() -> queue.receive(1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void many_pollers_get_each_message_once() throws Exception {
    List<Queue> queues = List.of(queue, open(OPENED).queue("orders"));
    ExecutorService threads = Executors.newFixedThreadPool(12);
    List<Future<List<MessageId>>> polling = new ArrayList<>();
    AtomicInteger left = new AtomicInteger(600);
    for (int i = 0; i < 12; i++) {
      Queue polled = queues.get(i % 2);
      Callable<List<MessageId>> poller =
          () -> {
            List<MessageId> all = new ArrayList<>();
            while (left.get() > 0) {
              List<Delivery> some =
                  polled.receive(waiting(Duration.ofMillis(700)).withMaxMessages(7));
              all.addAll(ids(some));
              left.addAndGet(-some.size());
              polled.ackAll(some);
            }
            return all;
          };
      polling.add(threads.submit(poller));
    }
    List<MessageId> sent = new ArrayList<>();
    for (int i = 0; i < 30; i++) {
      sent.addAll(sendNumbers(20));
    }

    List<MessageId> received = new ArrayList<>();
    for (Future<List<MessageId>> one : polling) {
      received.addAll(one.get());
    }
    threads.shutdown();

    assertThat(received).containsExactlyInAnyOrderElementsOf(sent);
  }

  @Test
  void more_than_one_lease_can_hold_is_received_in_one_call_and_in_order() {
    List<MessageId> ids = sendNumbers(2_700);

    List<Delivery> received = queue.receive(2_500);

    assertThat(ids(received)).isEqualTo(ids.subList(0, 2_500));
    queue.ackAll(received);
    assertThat(queue.stats().ready()).isEqualTo(200);
    assertThat(count("lease")).isZero();
  }

  @Test
  void large_payloads_are_received_up_to_the_bytes_asked_for() {
    queue.sendAll(Collections.nCopies(10, Message.bytes(new byte[300_000])));

    assertThat(queue.receive(upTo(10).withMaxBytes(900_000))).hasSize(3);
    assertThat(queue.receive(upTo(10).withMaxBytes(1))).as("one, whatever its size").hasSize(1);
    assertThat(queue.receive(upTo(10))).hasSize(6);
  }

  @Test
  void small_payloads_are_received_up_to_a_run_more_than_the_bytes_asked_for() {
    queue.sendAll(Collections.nCopies(1_000, Message.bytes(new byte[1_000])));

    long bytes =
        queue.receive(upTo(1_000).withMaxBytes(200_000)).stream().mapToLong(Delivery::bytes).sum();

    assertThat(bytes).isBetween(200_000L, 200_000L + RunCutter.MAX_BYTES);
  }

  @ParameterizedTest
  @EnumSource(NotifyMode.class)
  void what_commits_late_is_found_by_those_who_never_wait(NotifyMode mode) throws SQLException {
    Queue polled = open(OPENED.withNotifyMode(mode)).queue("orders");
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      sendBySql(connection, "late");
      // Until claims begin above the place in line that the late one has taken.
      for (int i = 0; i < 4; i++) {
        send("early");
        assertThat(polled.receive(10)).hasSize(1).allSatisfy(Delivery::ack);
        long end = System.nanoTime() + Duration.ofMillis(260).toNanos();
        Awaits.until(() -> System.nanoTime() - end > 0);
      }
      assertThat(polled.receive(10)).isEmpty();
      connection.commit();
    }

    Awaits.await()
        .pollInterval(Duration.ofMillis(200))
        .atMost(Duration.ofSeconds(5))
        .until(() -> texts(polled.receive(10)), List.of("late")::equals);
  }

  private static void sendBySql(Connection connection, String text) throws SQLException {
    try (var statement = connection.prepareStatement("SELECT trunkline.send('orders', ?)")) {
      statement.setString(1, text);
      statement.execute();
    }
  }

  /** Not only looking: a thread of ours sleeps in a long poll. */
  private boolean somebodyWaits() {
    return Thread.getAllStackTraces().entrySet().stream()
        .filter(entry -> entry.getKey().getState() == Thread.State.TIMED_WAITING)
        .anyMatch(
            entry ->
                List.of(entry.getValue()).stream()
                    .anyMatch(frame -> frame.getClassName().equals(Receiver.class.getName())));
  }

  record Timed<T>(T value, Duration took) {}

  private static <T> Timed<T> timed(java.util.function.Supplier<T> call) {
    long begin = System.nanoTime();
    T value = call.get();
    return new Timed<>(value, Duration.ofNanos(System.nanoTime() - begin));
  }
}
