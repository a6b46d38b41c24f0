package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
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
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;

/**
 * Everything at once, by lot: senders in transactions of their own and of callers, some of which
 * roll back; consumers that pull and push and decide by lot; connections that are cut. What was
 * committed and what became of it must fit in the end.
 */
@PostgresTest
class TortureTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  private static final QueueConfig CONFIG =
      QueueConfig.defaults()
          .withVisibilityTimeout(Duration.ofSeconds(2))
          .withRetryPolicy(
              RetryPolicy.defaults()
                  .withDelays(Duration.ZERO, Duration.ofMillis(100))
                  .withMaxDeliveries(8));

  private final Logger library = (Logger) LoggerFactory.getLogger("dev.trunkline");
  private final Logger hikari = (Logger) LoggerFactory.getLogger("com.zaxxer.hikari");
  private final List<Throwable> failures = new CopyOnWriteArrayList<>();

  /** Ids that a send returned and whose transaction committed for certain. */
  private final Set<Long> committed = ConcurrentHashMap.newKeySet();

  /** Ids whose commit was cut off: they may be there, or not. */
  private final Set<Long> perhaps = ConcurrentHashMap.newKeySet();

  /** Ids that were rolled back for certain. */
  private final Set<Long> rolledBack = ConcurrentHashMap.newKeySet();

  /** How often the settling of a message for good was confirmed. */
  private final Map<Long, Integer> ended = new ConcurrentHashMap<>();

  private final Set<Long> delivered = ConcurrentHashMap.newKeySet();
  private final AtomicInteger sendsCutOff = new AtomicInteger();
  private volatile CountDownLatch stop = new CountDownLatch(1);
  private TestDatabase database;

  @BeforeEach
  void hush() {
    library.setLevel(Level.ERROR);
    hikari.setLevel(Level.OFF);
  }

  @AfterEach
  void speak() {
    library.setLevel(Level.INFO);
    hikari.setLevel(null);
  }

  @Test
  void what_was_committed_is_settled_once_or_dead_whatever_happens_meanwhile() throws Exception {
    torture(20_260_101, Duration.ofSeconds(6));
  }

  @Test
  @Tag("torture")
  @Timeout(900)
  void what_was_committed_is_settled_once_or_dead_for_minutes() throws Exception {
    for (int round = 0; round < 5; round++) {
      torture(round, Duration.ofSeconds(30));
      database.truncateAll();
    }
  }

  private void torture(long seed, Duration duration) throws Exception {
    SplittableRandom random = new SplittableRandom(seed);
    stop = new CountDownLatch(1);
    List<Thread> threads = new ArrayList<>();
    List<Consumer> consumers = new ArrayList<>();
    try (Trunkline one = Trunkline.open(database.dataSource(), OPENED);
        Trunkline two = Trunkline.open(database.pool(config -> {}), OPENED)) {
      Queue queue = one.queue("torture", CONFIG);
      Queue other = two.queue("torture");
      threads.add(inThread("sender-1", random.split(), lot -> sendOwn(queue, lot)));
      threads.add(inThread("sender-2", random.split(), lot -> sendAsCaller(other, lot)));
      threads.add(inThread("puller-1", random.split(), lot -> pull(queue, lot)));
      threads.add(inThread("puller-2", random.split(), lot -> pull(other, lot)));
      consumers.add(push(queue, seed));
      consumers.add(push(other, seed + 1));
      threads.add(inThread("cutter", random.split(), this::cut));

      stop.await(duration.toMillis(), TimeUnit.MILLISECONDS);
      stop.countDown();
      for (Thread thread : threads) {
        thread.join();
      }
      assertThat(failures).isEmpty();
      Awaits.await()
          .atMost(Duration.ofSeconds(60))
          .ignoreExceptionsInstanceOf(DatabaseException.class)
          .until(
              () -> {
                QueueStats stats = queue.stats();
                return stats.ready() + stats.inFlight() + stats.scheduled() == 0;
              });
      consumers.forEach(Consumer::close);
      check(queue);
    }
  }

  private void check(Queue queue) {
    Set<Long> dead = new HashSet<>();
    List<DeadLetter> page = queue.deadLetters().browse(1_000);
    while (!page.isEmpty()) {
      page.forEach(letter -> dead.add(letter.messageId().value()));
      page = queue.deadLetters().browse(page.get(page.size() - 1).id(), 1_000);
    }
    assertThat(committed).as("sent").hasSizeGreaterThan(100);
    assertThat(rolledBack).as("rolled back").isNotEmpty();
    // By sets: an assertion on the elements compares each with each, which takes minutes.
    Set<Long> missing = new HashSet<>(committed);
    missing.removeAll(delivered);
    assertThat(missing).as("never delivered").isEmpty();
    Set<Long> ghosts = new HashSet<>(rolledBack);
    ghosts.retainAll(delivered);
    assertThat(ghosts).as("delivered though rolled back").isEmpty();
    Set<Long> unknown = new HashSet<>(delivered);
    unknown.removeAll(committed);
    unknown.removeAll(perhaps);
    assertThat(unknown)
        .as("delivered and never sent")
        .hasSizeLessThanOrEqualTo(300 * sendsCutOff.get());
    assertThat(ended.values()).as("settled for good by a pull").allMatch(times -> times == 1);
    assertThat(queue.stats().acked() + queue.stats().dead())
        .as("acked and dead are what was sent")
        .isEqualTo(queue.stats().sent());
    assertThat(queue.stats().dead()).isEqualTo(dead.size());
  }

  private void sendOwn(Queue queue, SplittableRandom lot) {
    try {
      int kind = lot.nextInt(10);
      if (kind < 6) {
        committed.add(queue.send(message(lot)).value());
      } else {
        List<Message> messages = new ArrayList<>();
        int count = kind == 9 ? 300 : 1 + lot.nextInt(40);
        for (int i = 0; i < count; i++) {
          messages.add(message(lot));
        }
        queue.sendAll(messages).forEach(id -> committed.add(id.value()));
      }
    } catch (DatabaseException e) {
      // Whether it was committed is not known, nor are the ids.
      sendsCutOff.incrementAndGet();
    }
  }

  private void sendAsCaller(Queue queue, SplittableRandom lot) throws SQLException {
    List<Long> ids = new ArrayList<>();
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      int sends = 1 + lot.nextInt(4);
      for (int i = 0; i < sends; i++) {
        for (MessageId id : queue.sendAll(connection, List.of(message(lot), message(lot)))) {
          ids.add(id.value());
        }
      }
      if (lot.nextInt(10) == 0) {
        pause(300);
      }
      if (lot.nextInt(4) == 0) {
        connection.rollback();
        rolledBack.addAll(ids);
      } else {
        perhaps.addAll(ids);
        connection.commit();
        committed.addAll(ids);
        perhaps.removeAll(ids);
      }
    } catch (SQLException | DatabaseException e) {
      // Cut: what was not under commit is rolled back by the server.
      if (ids.stream().noneMatch(perhaps::contains)) {
        rolledBack.addAll(ids);
      }
    }
  }

  private static Message message(SplittableRandom lot) {
    Message message = Message.text("m").withPriority(lot.nextInt(3));
    return lot.nextInt(8) == 0 ? message.withDelay(Duration.ofMillis(lot.nextInt(400))) : message;
  }

  private void pull(Queue queue, SplittableRandom lot) {
    List<Delivery> deliveries;
    try {
      deliveries =
          queue.receive(
              ReceiveOptions.defaults()
                  .withMaxMessages(1 + lot.nextInt(50))
                  .withMaxWait(Duration.ofMillis(lot.nextInt(100))));
    } catch (DatabaseException e) {
      return;
    }
    for (Delivery delivery : deliveries) {
      long id = delivery.id().value();
      delivered.add(id);
      try {
        switch (lot.nextInt(10)) {
          case 0 -> delivery.retry();
          case 1 -> delivery.release();
          case 2 -> delivery.extend(Duration.ofSeconds(3));
          case 3 -> {
            delivery.deadLetter("by lot");
            ended.merge(id, 1, Integer::sum);
          }
          default -> {
            delivery.ack();
            ended.merge(id, 1, Integer::sum);
          }
        }
      } catch (LeaseLostException | DatabaseException e) {
        // It is delivered again, or was settled by a statement whose answer was cut off.
        continue;
      }
    }
  }

  private Consumer push(Queue queue, long seed) {
    return queue.consume(
        ConsumerConfig.defaults().withConcurrency(4),
        delivery -> {
          long id = delivery.id().value();
          delivered.add(id);
          int lot = new SplittableRandom(seed ^ id * 31 + delivery.acquired()).nextInt(100);
          if (lot < 3) {
            pause(lot * 40);
          }
          return lot < 80
              ? Outcome.ack()
              : lot < 88
                  ? Outcome.retry()
                  : lot < 96 ? Outcome.release() : Outcome.deadLetter("by lot");
        });
  }

  /** One connection of somebody's, whoever it is. */
  private void cut(SplittableRandom lot) {
    pause(150 + lot.nextInt(300));
    database.execute(
        """
        SELECT pg_terminate_backend(pid)
        FROM (
          SELECT pid
          FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
          ORDER BY pid
          OFFSET %d
          LIMIT 1) x
        """
            .formatted(lot.nextInt(12)));
  }

  private void pause(long millis) {
    try {
      stop.await(millis, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** What a thread does again and again. */
  @FunctionalInterface
  private interface Round {
    void run(SplittableRandom lot) throws SQLException;
  }

  private Thread inThread(String name, SplittableRandom lot, Round round) {
    Thread thread =
        new Thread(
            () -> {
              try {
                while (stop.getCount() > 0) {
                  round.run(lot);
                }
              } catch (Throwable e) {
                failures.add(e);
              }
            },
            name);
    thread.start();
    return thread;
  }
}
