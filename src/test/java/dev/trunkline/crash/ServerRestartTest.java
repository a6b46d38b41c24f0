package dev.trunkline.crash;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.Trunkline;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server of the test's own, that writes to disk, and is stopped as a crash stops it. */
class ServerRestartTest {
  private int port;

  @Test
  void what_was_sent_when_the_server_crashed_is_delivered_when_it_is_back(@TempDir Path directory)
      throws Exception {
    Files.setPosixFilePermissions(
        directory, java.nio.file.attribute.PosixFilePermissions.fromString("rwxr-xr-x"));
    Path data = directory.resolve("data");
    port = freePort();
    EmbeddedPostgres postgres = server(data);
    try (Hushed hushed = Hushed.connectionTrouble();
        HikariDataSource pool = pool(postgres);
        Trunkline trunkline = Trunkline.open(pool)) {
      Queue queue =
          trunkline.queue(
              "through-a-crash",
              QueueConfig.defaults()
                  .withVisibilityTimeout(Duration.ofSeconds(5))
                  .withRetryPolicy(
                      RetryPolicy.defaults()
                          .withDelays(Duration.ZERO, Duration.ZERO)
                          .withMaxDeliveries(1_000)));
      Set<Long> sent = ConcurrentHashMap.newKeySet();
      Set<Long> handled = ConcurrentHashMap.newKeySet();
      AtomicBoolean stop = new AtomicBoolean();
      Thread producer = new Thread(() -> produce(queue, sent, stop), "producer");
      try (Consumer consumer =
          queue.consume(
              delivery -> {
                handled.add(delivery.id().value());
                return Outcome.ack();
              })) {
        producer.start();
        Awaits.until(() -> handled.size() > 100);
        crash(data);
        int before = sent.size();
        postgres.close();
        postgres = server(data);
        Awaits.await().atMost(Duration.ofSeconds(40)).until(() -> sent.size() > before + 100);
        stop.set(true);
        producer.join();

        Awaits.await().atMost(Duration.ofSeconds(40)).until(() -> handled.containsAll(sent));
        Awaits.until(
            () -> {
              QueueStats stats = queue.stats();
              return stats.ready() + stats.inFlight() == 0;
            });
        assertThat(queue.stats().scheduled()).isZero();
        assertThat(queue.stats().dead()).isZero();
      } finally {
        stop.set(true);
      }
    } finally {
      postgres.close();
    }
  }

  private static void produce(Queue queue, Set<Long> sent, AtomicBoolean stop) {
    while (!stop.get()) {
      try {
        sent.add(queue.send(Message.text("message")).value());
      } catch (DatabaseException e) {
        // Whether it was stored is not known: it may be delivered, and need not be.
        continue;
      }
    }
  }

  /** Every process of the server ends at once, without writing what it has in memory. */
  private static void crash(Path data) throws IOException, InterruptedException {
    String pid = Files.readAllLines(data.resolve("postmaster.pid")).get(0).strip();
    ProcessHandle postmaster = ProcessHandle.of(Long.parseLong(pid)).orElseThrow();
    assertThat(new ProcessBuilder("kill", "-QUIT", pid).start().waitFor()).isZero();
    Awaits.until(() -> !postmaster.isAlive());
  }

  /**
   * With fsync; synchronous_commit stays off, as the embedded server has it, so that only what
   * insists is on disk.
   */
  private EmbeddedPostgres server(Path data) throws IOException {
    return EmbeddedPostgres.builder()
        .setPort(port)
        .setDataDirectory(data)
        .setCleanDataDirectory(false)
        .setServerConfig("fsync", "on")
        .setServerConfig("wal_writer_delay", "10s")
        .setServerConfig("wal_writer_flush_after", "1GB")
        .setServerConfig("unix_socket_directories", "")
        .setPGStartupWait(Duration.ofSeconds(60))
        .start();
  }

  private static HikariDataSource pool(EmbeddedPostgres postgres) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(postgres.getJdbcUrl("postgres", "postgres"));
    config.setConnectionTimeout(2_000);
    return new HikariDataSource(config);
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }
}
