package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
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
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.LoggerFactory;

@PostgresTest
class PoolsTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  private static final QueueConfig AT_ONCE =
      QueueConfig.defaults()
          .withRetryPolicy(
              RetryPolicy.defaults()
                  .withDelays(Duration.ZERO, Duration.ZERO)
                  .withMaxDeliveries(1_000));

  private TestDatabase database;

  @ParameterizedTest
  @CsvSource({
    "true, TRANSACTION_READ_COMMITTED, 2",
    "false, TRANSACTION_READ_COMMITTED, 3",
    "true, TRANSACTION_REPEATABLE_READ, 3",
    "false, TRANSACTION_REPEATABLE_READ, 2",
    "true, TRANSACTION_SERIALIZABLE, 3",
    "false, TRANSACTION_SERIALIZABLE, 3"
  })
  void everything_works_on_a_pool_of_this_kind_and_connections_go_back_as_they_came(
      boolean autoCommit, String isolation, int size) throws SQLException {
    HikariDataSource pool =
        database.pool(
            config -> {
              config.setAutoCommit(autoCommit);
              config.setTransactionIsolation(isolation);
              config.setMaximumPoolSize(size);
              config.setMinimumIdle(size);
              String url = config.getJdbcUrl();
              config.setJdbcUrl(
                  url + (url.contains("?") ? "&" : "?") + "options=-c%20synchronous_commit=on");
            });
    List<String> before = connectionsOf(pool, size);
    try (Trunkline trunkline = Trunkline.open(pool, OPENED)) {
      Queue queue = trunkline.queue("pooled", AT_ONCE);
      Map<String, Integer> seen = new ConcurrentHashMap<>();
      try (Consumer consumer =
          queue.consume(
              delivery -> {
                seen.merge(delivery.message().text(), 1, Integer::sum);
                return switch (delivery.message().text()) {
                  case "retried" -> delivery.attempt() == 1 ? Outcome.retry() : Outcome.ack();
                  case "released" -> delivery.acquired() == 1 ? Outcome.release() : Outcome.ack();
                  case "dead" -> Outcome.deadLetter("on purpose");
                  default -> Outcome.ack();
                };
              })) {
        queue.sendAll(IntStream.range(0, 3_000).mapToObj(i -> Message.text("many " + i)).toList());
        queue.send(Message.text("retried"));
        queue.send(Message.text("released"));
        queue.send(Message.text("dead"));
        queue.send(Message.text("later").withDelay(Duration.ofMillis(200)));
        Awaits.until(() -> queue.stats().acked() == 3_003 && queue.stats().dead() == 1);
      }
      assertThat(seen)
          .hasSize(3_004)
          .containsEntry("retried", 2)
          .containsEntry("released", 2)
          .containsEntry("later", 1);
      queue.send(Message.text("pulled"));
      List<Delivery> pulled = queue.receive(1);
      pulled.get(0).extend(Duration.ofMinutes(1));
      pulled.get(0).ack();
      assertThat(queue.deadLetters().replayAll()).isEqualTo(1);
      queue.receive(1).forEach(Delivery::ack);
    }
    assertThat(connectionsOf(pool, size)).isEqualTo(before);
  }

  @Test
  void a_claim_at_read_committed_does_not_fail_on_what_others_claim_at_the_same_time()
      throws Exception {
    HikariDataSource pool =
        database.pool(config -> config.setTransactionIsolation("TRANSACTION_REPEATABLE_READ"));
    try (Trunkline trunkline = Trunkline.open(pool, OPENED)) {
      Queue queue = trunkline.queue("contested", AT_ONCE);
      for (int i = 0; i < 1_000; i++) {
        queue.sendAll(List.of(Message.text("a"), Message.text("b")));
      }
      Set<Long> handled = ConcurrentHashMap.newKeySet();
      List<Throwable> failures = new java.util.concurrent.CopyOnWriteArrayList<>();
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        Thread thread =
            new Thread(
                () -> {
                  try {
                    for (List<Delivery> some = queue.receive(7);
                        !some.isEmpty();
                        some = queue.receive(7)) {
                      some.forEach(delivery -> handled.add(delivery.id().value()));
                      queue.ackAll(some);
                    }
                  } catch (RuntimeException | Error e) {
                    failures.add(e);
                  }
                });
        thread.start();
        threads.add(thread);
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertThat(failures).isEmpty();
      // Who does not wait may be told that there is nothing while others had it locked.
      queue
          .receive(
              ReceiveOptions.defaults()
                  .withMaxMessages(100)
                  .withMaxWait(Duration.ofSeconds(handled.size() < 2_000 ? 10 : 0)))
          .forEach(
              delivery -> {
                handled.add(delivery.id().value());
                delivery.ack();
              });
      assertThat(handled).hasSize(2_000);
    }
  }

  @Test
  void when_all_connections_die_again_and_again_everything_goes_on_by_itself_and_nothing_is_lost() {
    Logger library = (Logger) LoggerFactory.getLogger("dev.trunkline");
    Logger hikari = (Logger) LoggerFactory.getLogger("com.zaxxer.hikari");
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    library.addAppender(log);
    library.setAdditive(false);
    hikari.setLevel(Level.ERROR);
    Set<Long> sent = new HashSet<>();
    Set<Long> handled = ConcurrentHashMap.newKeySet();
    int cuts = 5;
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), OPENED)) {
      Queue queue = trunkline.queue("cut", AT_ONCE.withVisibilityTimeout(Duration.ofSeconds(3)));
      try (Consumer consumer =
          queue.consume(
              delivery -> {
                handled.add(delivery.id().value());
                return delivery.acquired() == 1 && delivery.id().value() % 10 == 0
                    ? Outcome.retry(Duration.ofMillis(50))
                    : Outcome.ack();
              })) {
        for (int cut = 0; cut < cuts; cut++) {
          int target = sent.size() + 200;
          while (sent.size() < target) {
            try {
              sent.add(queue.send(Message.text("message")).value());
            } catch (DatabaseException e) {
              assertThat(e.sqlState()).isPresent();
            }
          }
          cutAllConnections();
        }
        // The pool still hands out connections that were cut.
        Awaits.await()
            .ignoreExceptionsInstanceOf(DatabaseException.class)
            .atMost(Duration.ofSeconds(40))
            .until(() -> handled.containsAll(sent) && queue.stats().inFlight() == 0);
        // The pool still hands out connections that were cut.
        Awaits.await()
            .ignoreExceptionsInstanceOf(DatabaseException.class)
            .atMost(Duration.ofSeconds(40))
            .until(
                () -> {
                  QueueStats stats = queue.stats();
                  return stats.ready() + stats.scheduled() == 0;
                });
        assertThat(queue.stats().dead()).isZero();
        queue.send(Message.text("delayed").withDelay(Duration.ofMillis(100)));
        int before = handled.size();
        Awaits.until(() -> handled.size() == before + 1);
      }
    } finally {
      library.detachAppender(log);
      library.setAdditive(true);
      hikari.setLevel(null);
    }
    Map<String, Long> failuresPerLoop =
        List.copyOf(log.list).stream()
            .map(ILoggingEvent::getFormattedMessage)
            .filter(line -> line.endsWith("failed, is tried again until it works"))
            .collect(Collectors.groupingBy(line -> line.split(":")[0], Collectors.counting()));
    assertThat(failuresPerLoop).isNotEmpty();
    assertThat(failuresPerLoop.values()).allMatch(times -> times <= cuts);
    assertThat(log.list).noneMatch(event -> event.getLevel() == Level.ERROR);
  }

  private void cutAllConnections() {
    database.execute(
        """
        SELECT pg_terminate_backend(pid)
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        """);
  }

  /** All connections of a pool, as one finds them. */
  private static List<String> connectionsOf(HikariDataSource pool, int size) throws SQLException {
    List<Connection> connections = new ArrayList<>();
    List<String> states = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      connections.add(pool.getConnection());
    }
    for (Connection connection : connections) {
      states.add(
          "%s %s %s %s %s %s"
              .formatted(
                  connection.getAutoCommit(),
                  connection.getTransactionIsolation(),
                  connection.isReadOnly(),
                  setting(connection, "synchronous_commit"),
                  setting(connection, "enable_seqscan"),
                  setting(connection, "plan_cache_mode")));
      if (!connection.getAutoCommit()) {
        connection.rollback();
      }
      connection.close();
    }
    return states;
  }

  private static String setting(Connection connection, String name) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SHOW " + name)) {
      rows.next();
      return rows.getString(1);
    }
  }
}
