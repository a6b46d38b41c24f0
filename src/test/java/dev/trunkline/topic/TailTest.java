package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.event.TrunklineListener;
import dev.trunkline.internal.db.Broadcast;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Notifications;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** How those who wait at the end of a log learn that it has grown. */
@PostgresTest
class TailTest {
  /** So long that what comes at once was told. */
  private static final Duration SELDOM = Duration.ofSeconds(20);

  /** After that an idle tail looks no more often than once in three seconds. */
  private static final Duration UNTIL_IDLE = Duration.ofMillis(2_700);

  private static final Duration AT_ONCE = Duration.ofMillis(1_200);

  private TestDatabase database;

  /** What one process has for its topics. */
  private final class Process implements AutoCloseable {
    private final Database own = new Database(database.dataSource());
    private final Notifications notifications = new Notifications(own);
    private final Broadcast broadcast;
    private final TopicEngine engine;

    Process(TopicsConfig config) {
      broadcast = new Broadcast(own, config.notifies(), () -> false).start();
      engine = new TopicEngine(own, notifications, broadcast, config).start();
      engine.listen();
    }

    TopicRow row(String name) {
      own.inTransaction(
          session -> TopicStore.declare(session, name, TopicConfig.defaults().withPartitions(1)));
      return own.run(session -> TopicStore.find(session, name)).orElseThrow();
    }

    Topic topic(String name) {
      return new Topic(engine, row(name));
    }

    /** One that nobody else has, and that takes no steps by itself. */
    Tail tailOn(Database database, String name) {
      return new Tail(database, engine.reader(), row(name), SELDOM);
    }

    Tail tail(String name) {
      return engine.tail(row(name));
    }

    @Override
    public void close() {
      engine.close(
          () -> {
            broadcast.close();
            notifications.close();
          });
    }
  }

  private static TopicsConfig config(boolean told, Duration pollInterval) {
    return new TopicsConfig(told, told, told, pollInterval, TrunklineListener.NONE, false);
  }

  @AfterEach
  void deleteTheTopics() {
    database.execute("UPDATE trunkline.topic SET deleted_at = now()");
  }

  private static void idle(Duration duration) {
    long end = System.nanoTime() + duration.toNanos();
    Awaits.until(() -> System.nanoTime() > end);
  }

  private static long end(Tail tail) {
    Sequencer.Bounds bounds = tail.bounds();
    return bounds.partitions() == 0 ? 0 : bounds.ends().get(0);
  }

  @Test
  void a_publish_is_seen_at_once_whoever_made_it_and_in_whichever_transaction()
      throws SQLException {
    TopicsConfig config = config(true, SELDOM);
    try (Process here = new Process(config);
        Process there = new Process(config);
        Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      String[] names = {"own", "others", "callers", "others-callers"};
      Tail[] tails = new Tail[names.length];
      AtomicInteger[] woken = new AtomicInteger[names.length];
      for (int i = 0; i < names.length; i++) {
        tails[i] = here.tail(names[i]);
        AtomicInteger count = new AtomicInteger();
        woken[i] = count;
        tails[i].watch(count::incrementAndGet);
      }
      idle(UNTIL_IDLE);

      here.topic("callers").publish(caller, Message.text("x"));
      there.topic("others-callers").publish(caller, Message.text("x"));
      here.topic("own").publish(Message.text("x"));
      there.topic("others").publish(Message.text("x"));
      Awaits.await().atMost(AT_ONCE).until(() -> end(tails[0]) == 1 && end(tails[1]) == 1);
      assertThat(end(tails[2]) + end(tails[3])).as("not committed yet").isZero();
      idle(UNTIL_IDLE);

      caller.commit();
      Awaits.await().atMost(AT_ONCE).until(() -> end(tails[2]) == 1 && end(tails[3]) == 1);
      for (AtomicInteger count : woken) {
        assertThat(count.get()).as("woken at the first look, and then").isBetween(1, 2);
      }
    }
  }

  @Test
  void without_notifications_a_publish_is_seen_by_polling() throws SQLException {
    TopicsConfig off = config(false, Duration.ofMillis(300));
    try (Process here = new Process(off);
        Process there = new Process(off);
        Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      Tail tail = here.tail("polled");
      tail.watch(() -> {});
      idle(Duration.ofMillis(700));

      there.topic("polled").publish(Message.text("x"));
      Awaits.await().atMost(AT_ONCE).until(() -> end(tail) == 1);
      here.topic("polled").publish(caller, Message.text("x"));
      idle(Duration.ofMillis(700));
      caller.commit();
      Awaits.await().atMost(AT_ONCE).until(() -> end(tail) == 2);
    }
  }

  @Test
  void whoever_has_stopped_watching_is_not_woken_and_nobody_steps_for_it() {
    try (Process here = new Process(config(true, Duration.ofMillis(50)))) {
      Tail tail = here.tail("watched");
      AtomicInteger woken = new AtomicInteger();
      Tail.Watch watch = tail.watch(woken::incrementAndGet);
      here.topic("watched").publish(Message.text("x"));
      Awaits.until(() -> end(tail) == 1);
      watch.close();
      // A step that had begun before may still find what comes now.
      idle(Duration.ofMillis(300));
      int before = woken.get();
      here.topic("watched").publish(Message.text("x"));
      idle(Duration.ofMillis(300));

      assertThat(end(tail)).isEqualTo(1);
      assertThat(woken).hasValue(before);
      Tail.Watch again = tail.watch(woken::incrementAndGet);
      Awaits.until(() -> end(tail) == 2);
      again.close();
    }
  }

  /** Real connections; whoever gives the first one back waits, its work done. */
  private DataSource heldUp(CountDownLatch done, CountDownLatch goOn) {
    DataSource real = database.dataSource();
    AtomicBoolean first = new AtomicBoolean(true);
    return proxy(
        DataSource.class,
        real,
        (method, answer) ->
            answer instanceof Connection connection && first.getAndSet(false)
                ? proxy(
                    Connection.class,
                    connection,
                    (called, result) -> {
                      if (called.equals("close")) {
                        done.countDown();
                        goOn.await();
                      }
                      return result;
                    })
                : answer);
  }

  /** What comes after a call. */
  @FunctionalInterface
  private interface After {
    @Nullable Object call(String method, @Nullable Object answer) throws Exception;
  }

  private static <T> T proxy(Class<T> type, T real, After after) {
    InvocationHandler handler =
        (proxy, method, arguments) -> {
          try {
            return after.call(method.getName(), method.invoke(real, arguments));
          } catch (InvocationTargetException e) {
            throw e.getCause();
          }
        };
    return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
  }

  @Test
  void an_answer_that_comes_late_moves_no_end_back() throws Exception {
    CountDownLatch done = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    try (Process here = new Process(config(false, SELDOM))) {
      Topic topic = here.topic("late");
      Tail tail = here.tailOn(new Database(heldUp(done, goOn)), "late");
      topic.publish(Message.text("x"));
      CompletableFuture<Sequencer.Bounds> late = CompletableFuture.supplyAsync(tail::boundsForSure);
      done.await();
      topic.publish(Message.text("x"));
      assertThat(tail.boundsForSure().ends()).containsExactly(2L);

      goOn.countDown();
      assertThat(late.get().ends()).containsExactly(1L);
      assertThat(end(tail)).isEqualTo(2);
    }
  }

  @Test
  void a_log_that_was_restored_with_a_lower_end_is_followed_from_there() {
    try (Process here = new Process(config(true, Duration.ofMillis(50)))) {
      Topic topic = here.topic("restored");
      Tail tail = here.tail("restored");
      for (int i = 0; i < 20; i++) {
        topic.publish(Message.text("m" + i));
        topic.endOffsets();
      }
      assertThat(end(tail)).isEqualTo(20);

      String id = database.text("SELECT id FROM trunkline.topic WHERE deleted_at IS NULL");
      database.execute(
          """
          DELETE FROM trunkline.record WHERE topic_id = %1$s AND id > (
            SELECT max(u) FROM trunkline.segment, unnest(ids) u WHERE topic_id = %1$s AND base_offset < 5);
          DELETE FROM trunkline.segment WHERE topic_id = %1$s AND base_offset >= 5
          """
              .formatted(id));
      AtomicInteger woken = new AtomicInteger();
      topic.publish(Message.text("after the restore"));
      assertThat(topic.read(0, 4, 10))
          .extracting(record -> record.message().text())
          .containsExactly("m4", "after the restore");
      assertThat(end(tail)).isEqualTo(6);
      tail.watch(woken::incrementAndGet);
      topic.publish(Message.text("and one more"));
      Awaits.until(() -> end(tail) == 7);
      assertThat(woken.get()).isPositive();
    }
  }
}
