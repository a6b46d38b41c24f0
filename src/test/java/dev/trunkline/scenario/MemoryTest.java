package dev.trunkline.scenario;

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
import dev.trunkline.queue.ReceiveOptions;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** In a process with 128 MiB of heap. */
@PostgresTest
class MemoryTest {
  private static final int SENT_AT_ONCE = 100_000;

  private TestDatabase database;

  /** Sends, then drains what waits: half of it by push, half by pull. */
  static final class Small {
    private Small() {}

    public static void main(String[] arguments) throws InterruptedException {
      int waiting = Integer.parseInt(arguments[3]);
      try (Trunkline trunkline = open(arguments)) {
        Queue queue = trunkline.queue("large", QueueConfig.defaults());
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < SENT_AT_ONCE; i++) {
          batch.add(Message.bytes(new byte[200]).withKey("key " + i));
        }
        System.out.println("sent " + queue.sendAll(batch).size());
        batch.clear();
        CountDownLatch half = new CountDownLatch(waiting / 2);
        try (Consumer consumer =
            queue.consume(
                ConsumerConfig.defaults().withPrefetch(2_000),
                delivery -> {
                  half.countDown();
                  return Outcome.ack();
                })) {
          half.await();
        }
        System.out.println("pushed");
        while (true) {
          List<Delivery> pulled =
              queue.receive(
                  ReceiveOptions.defaults()
                      .withMaxMessages(1_000)
                      .withMaxWait(Duration.ofSeconds(2)));
          if (pulled.isEmpty()) {
            break;
          }
          queue.ackAll(pulled);
        }
        System.out.println("drained " + queue.stats().acked());
      }
    }
  }

  @Test
  void a_hundred_thousand_messages_go_in_one_send_and_what_waits_is_drained() {
    drain(200_000, Duration.ofMinutes(1));
  }

  @Test
  @Tag("torture")
  void a_million_messages_that_wait_are_drained() {
    drain(1_000_000, Duration.ofMinutes(5));
  }

  private void drain(int waiting, Duration patience) {
    try (Trunkline trunkline =
        Trunkline.open(
            database.dataSource(),
            TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF))) {
      trunkline.queue("large", QueueConfig.defaults());
    }
    insertReady(waiting - SENT_AT_ONCE);
    try (SecondJvm small =
        SecondJvm.running(Small.class)
            .arguments(
                database.url(), database.user(), database.password(), String.valueOf(waiting))
            .maxHeap("128m")
            .lifetime(patience)
            .start()) {
      assertThat(small.awaitExit(patience)).isZero();
      assertThat(small.lines())
          .containsExactly("sent " + SENT_AT_ONCE, "pushed", "drained " + waiting);
    }
    assertThat(database.number("SELECT count(*) FROM trunkline.message")).isZero();
  }

  /** As many sends of thirty-two messages would have left it. */
  private void insertReady(int count) {
    database.execute(
        """
        WITH stored AS (
          INSERT INTO trunkline.message (queue_id, priority, payload)
          SELECT q.id, 5, convert_to(repeat('x', 200), 'UTF8')
          FROM trunkline.queue q, generate_series(1, %1$d)
          RETURNING id, queue_id
        ), runs AS (
          INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids)
          SELECT min(id), queue_id, 200 * count(*), 5, array_agg(id)
          FROM stored
          GROUP BY queue_id, id / 32
        )
        INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, ready)
        SELECT queue_id, count(*), 200 * count(*), count(*) FROM stored GROUP BY queue_id
        """
            .formatted(count));
  }

  /** Handles large messages slowly, with room for a few of them. */
  static final class Large {
    private Large() {}

    public static void main(String[] arguments) throws InterruptedException {
      try (Trunkline trunkline = open(arguments)) {
        Queue queue = trunkline.queue("bytes", QueueConfig.defaults());
        CountDownLatch all = new CountDownLatch(64);
        AtomicInteger bytes = new AtomicInteger();
        try (Consumer consumer =
            queue.consume(
                ConsumerConfig.defaults()
                    .withConcurrency(2)
                    .withPrefetch(64)
                    .withPrefetchBytes(4 * 1024 * 1024),
                delivery -> {
                  bytes.addAndGet(delivery.message().payload().length / 1024);
                  all.countDown();
                  return Outcome.ack();
                })) {
          all.await();
        }
        System.out.println("handled " + bytes.get() + " KiB");
      }
    }
  }

  @Test
  void sixty_four_messages_of_a_mebibyte_are_handled_with_a_prefetch_of_four() {
    try (Trunkline trunkline =
        Trunkline.open(
            database.dataSource(),
            TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF))) {
      Queue queue = trunkline.queue("bytes", QueueConfig.defaults());
      queue.sendAll(Collections.nCopies(64, Message.bytes(new byte[1024 * 1024])));
      assertThat(database.number("SELECT max(bytes) FROM trunkline.ready"))
          .as("no run is so large that taking it whole breaks the bound")
          .isEqualTo(1024 * 1024);
      try (SecondJvm large =
          SecondJvm.running(Large.class)
              .arguments(database.url(), database.user(), database.password())
              .maxHeap("128m")
              .start()) {
        assertThat(large.awaitExit(Duration.ofSeconds(60))).isZero();
        assertThat(large.lines()).containsExactly("handled 65536 KiB");
      }
      assertThat(queue.stats().acked()).isEqualTo(64);
    }
  }

  private static Trunkline open(String[] arguments) {
    return Trunkline.open(
        arguments[0],
        arguments[1],
        arguments[2],
        TrunklineConfig.defaults()
            .withMigrationMode(MigrationMode.OFF)
            .withHeartbeatTimeout(Duration.ofMinutes(1)));
  }
}
