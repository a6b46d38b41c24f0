package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.Trunkline;
import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.work.Fence;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class TransactionalConsumeTest extends QueueFixture {

  @BeforeEach
  void a_table_of_the_users() {
    database.execute(
        "DROP TABLE IF EXISTS effect; CREATE TABLE effect (message_id bigint, note text)");
  }

  @Test
  void the_handlers_sql_the_ack_and_what_it_sends_commit_together() throws Exception {
    Queue next = trunkline.queue("next", CONFIG);
    CountDownLatch done = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    MessageId id = send("order");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery, "stored");
              next.send(connection, Message.text("follow-up"));
              done.countDown();
              finish.await();
              return Outcome.ack();
            })) {
      done.await();
      assertThat(effects()).isEmpty();
      assertThat(next.receive(1)).isEmpty();
      assertThat(queue.stats().inFlight()).isEqualTo(1);
      finish.countDown();
      Awaits.until(() -> queue.stats().acked() == 1);
      assertThat(consumer.isClosed()).isFalse();
    }
    assertThat(effects()).containsExactly(id.value());
    assertThat(next.stats().ready()).isEqualTo(1);
    assertThat(count("lease")).isZero();
    next.purge();
  }

  @Test
  void what_a_handler_sends_wakes_its_consumer_when_it_commits() {
    Queue next = trunkline.queue("next", CONFIG);
    List<String> arrived = new CopyOnWriteArrayList<>();
    try (Consumer first =
            queue.consumeTransactionally(
                (delivery, connection) -> {
                  next.send(connection, Message.text(delivery.message().text() + "!"));
                  return Outcome.ack();
                });
        Consumer second =
            next.consume(
                delivery -> {
                  arrived.add(delivery.message().text());
                  return Outcome.ack();
                })) {
      send("a");
      Awaits.until(() -> arrived.contains("a!"));
    }
  }

  @Test
  void an_exception_rolls_everything_back_and_counts_and_the_poison_message_dies() {
    queue = altered(CONFIG.withMaxDeliveries(3));
    Queue next = trunkline.queue("next", CONFIG);
    List<Integer> attempts = new CopyOnWriteArrayList<>();
    MessageId id = send("poison");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              attempts.add(delivery.attempt());
              effect(connection, delivery, "never");
              next.send(connection, Message.text("never"));
              throw new IllegalStateException("no stock");
            })) {
      Awaits.until(() -> queue.stats().dead() == 1);
    }
    assertThat(attempts).containsExactly(1, 2, 3);
    assertThat(effects()).isEmpty();
    assertThat(next.stats().sent()).isZero();
    DeadLetter letter = queue.deadLetters().browse(1).get(0);
    assertThat(letter.messageId()).isEqualTo(id);
    assertThat(letter.reason()).isEqualTo(DeathReason.DELIVERY_LIMIT);
    assertThat(letter.deliveries()).isEqualTo(3);
    assertThat(letter.error().orElseThrow().message()).isEqualTo("no stock");
  }

  @Test
  void a_rollback_backs_off_as_the_queue_says() {
    queue =
        altered(
            CONFIG.withRetryPolicy(
                RetryPolicy.defaults().withDelays(Duration.ofDays(1), Duration.ofDays(1))));
    send("later");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              throw new IllegalStateException("not yet");
            })) {
      Awaits.until(() -> queue.stats().scheduled() == 1);
    }
    assertThat(queue.peek(MessageState.SCHEDULED, 1).get(0).deliveries()).isEqualTo(1);
  }

  @Test
  void only_an_ack_commits_what_the_handler_did() {
    queue = altered(CONFIG.withMaxDeliveries(2));
    sendAll("retry", "retry later", "release", "dead", "ack");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery, delivery.message().text());
              return switch (delivery.message().text()) {
                case "retry" -> Outcome.retry();
                case "retry later" -> Outcome.retry(Duration.ofDays(1));
                case "release" -> Outcome.release(Duration.ofDays(1));
                case "dead" -> Outcome.deadLetter("hopeless");
                default -> Outcome.ack();
              };
            })) {
      Awaits.until(() -> queue.stats().dead() == 2 && queue.stats().scheduled() == 2);
      Awaits.until(() -> queue.stats().acked() == 1);
    }
    assertThat(database.texts("SELECT note FROM effect")).containsExactly("ack");
    assertThat(queue.deadLetters().browse(10))
        .extracting(DeadLetter::reason)
        .containsExactlyInAnyOrder(DeathReason.REJECTED, DeathReason.DELIVERY_LIMIT);
    assertThat(queue.peek(MessageState.SCHEDULED, 10))
        .extracting(PeekedMessage::deliveries)
        .containsExactlyInAnyOrder(1, 0);
  }

  @Test
  void an_error_of_the_database_that_the_handler_swallows_is_no_ack() {
    queue = altered(CONFIG.withMaxDeliveries(1));
    send("swallowed");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery, "never");
              try (Statement statement = connection.createStatement()) {
                statement.execute("SELECT 1 / 0");
              } catch (SQLException e) {
                assertThat(e.getSQLState()).isEqualTo("22012");
              }
              return Outcome.ack();
            })) {
      Awaits.until(() -> queue.stats().dead() == 1);
    }
    assertThat(effects()).isEmpty();
  }

  @Test
  void a_savepoint_lets_a_handler_take_back_a_part() {
    send("partly");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery, "kept");
              Savepoint savepoint = connection.setSavepoint();
              effect(connection, delivery, "dropped");
              connection.rollback(savepoint);
              return Outcome.ack();
            })) {
      Awaits.until(() -> queue.stats().acked() == 1);
    }
    assertThat(database.texts("SELECT note FROM effect")).containsExactly("kept");
  }

  @Test
  void a_commit_that_the_database_refuses_counts_as_failed() {
    database.execute(
        """
        ALTER TABLE effect ADD CONSTRAINT once UNIQUE (note) DEFERRABLE INITIALLY DEFERRED;
        INSERT INTO effect VALUES (0, 'taken')
        """);
    queue = altered(CONFIG.withMaxDeliveries(2));
    send("refused");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery, "taken");
              return Outcome.ack();
            })) {
      Awaits.until(() -> queue.stats().dead() == 1);
    }
    DeadLetter letter = queue.deadLetters().browse(1).get(0);
    assertThat(letter.deliveries()).isEqualTo(2);
    assertThat(letter.error().orElseThrow().message()).contains("once");
    assertThat(effects()).containsExactly(0L);
  }

  @Test
  void the_messages_of_one_claim_are_handled_side_by_side_and_settled_one_by_one()
      throws Exception {
    CyclicBarrier together = new CyclicBarrier(4);
    List<MessageId> ids = sendNumbers(4);
    try (Consumer consumer =
        queue.consumeTransactionally(
            handlers(4),
            (delivery, connection) -> {
              together.await(20, TimeUnit.SECONDS);
              if (delivery.message().text().equals("2") && delivery.attempt() == 1) {
                queueOnce(delivery);
                return Outcome.release(Duration.ofDays(1));
              }
              effect(connection, delivery, "done");
              return Outcome.ack();
            })) {
      Awaits.until(() -> queue.stats().acked() == 3 && queue.stats().scheduled() == 1);
    }
    assertThat(effects())
        .containsExactlyInAnyOrder(ids.get(0).value(), ids.get(1).value(), ids.get(3).value());
  }

  private static void queueOnce(Delivery delivery) {
    assertThat(delivery.acquired()).isEqualTo(1);
  }

  @Test
  void nobody_takes_back_what_a_handler_works_on_and_its_lease_is_renewed_meanwhile()
      throws Exception {
    queue = altered(CONFIG.withVisibilityTimeout(Duration.ofSeconds(3)));
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    AtomicInteger calls = new AtomicInteger();
    MessageId id = send("long");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              calls.incrementAndGet();
              effect(connection, delivery, "once");
              running.countDown();
              while (!finish.await(100, TimeUnit.MILLISECONDS)) {
                keepAlive(connection);
              }
              return Outcome.ack();
            })) {
      running.await();
      String visibleAt = "SELECT visible_at FROM trunkline.lease";
      String before = database.text(visibleAt);
      assertThat(expireAll()).isZero();
      Awaits.until(() -> !String.valueOf(database.text(visibleAt)).equals(before));
      assertThat(expireAll()).isZero();
      finish.countDown();
      Awaits.until(() -> queue.stats().acked() == 1);
    }
    assertThat(calls).hasValue(1);
    assertThat(effects()).containsExactly(id.value());
  }

  @Test
  void leases_locked_by_a_hundred_handlers_keep_the_reaper_from_no_other_lease() throws Exception {
    sendNumbers(120);
    List<Delivery> locked = queue.receive(119);
    List<Delivery> apart = LeasedMessages.fence(library()).apart(locked);
    Delivery other = receiveOne();
    try (Connection holder = database.connect()) {
      holder.setAutoCommit(false);
      library()
          .on(
              holder,
              session -> {
                Fence<Delivery> fence = LeasedMessages.fence(library());
                apart.forEach(delivery -> assertThat(fence.hold(session, delivery)).isTrue());
                return true;
              });

      assertThat(expireAll()).isEqualTo(1);
      assertThat(receiveOne().id()).isEqualTo(other.id());
      holder.rollback();
    }
    assertThat(expireAll()).isEqualTo(120);
  }

  @Test
  void a_handler_is_not_called_for_what_was_lost_while_it_waited_and_nothing_is_done_twice()
      throws Exception {
    CountDownLatch first = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    List<String> calls = new CopyOnWriteArrayList<>();
    sendAll("first", "second");
    try (Consumer consumer =
        queue.consumeTransactionally(
            handlers(1).withPrefetch(2),
            (delivery, connection) -> {
              calls.add(delivery.message().text() + " " + delivery.attempt());
              effect(connection, delivery, delivery.message().text());
              if (first.getCount() == 1) {
                first.countDown();
                finish.await();
              }
              return Outcome.ack();
            })) {
      first.await();
      List<Delivery> taken = new ArrayList<>();
      if (count("lease") == 2) {
        assertThat(expireAll()).as("the second only: the first is locked").isEqualTo(1);
      }
      taken.addAll(queue.receive(1));
      assertThat(texts(taken)).containsExactly("second");
      finish.countDown();
      Awaits.until(() -> queue.stats().acked() == 1);
      taken.get(0).ack();
      Awaits.until(() -> queue.stats().acked() == 2);
    }
    assertThat(calls).containsExactly("first 1");
    assertThat(database.texts("SELECT note FROM effect")).containsExactly("first");
  }

  @Test
  void each_message_takes_effect_once_while_leases_are_lost_and_handlers_fail() {
    queue = altered(CONFIG.withMaxDeliveries(1_000));
    int messages = 400;
    sendNumbers(messages);
    AtomicInteger calls = new AtomicInteger();
    TransactionalHandler handler =
        (delivery, connection) -> {
          effect(connection, delivery, "done");
          return switch (calls.incrementAndGet() % 7) {
            case 0 -> throw new IllegalStateException("now and then");
            case 3 -> Outcome.release();
            default -> Outcome.ack();
          };
        };
    Queue elsewhere = open(OPENED).queue("orders");
    try (Consumer here = queue.consumeTransactionally(handlers(3).withPrefetch(50), handler);
        Consumer there = elsewhere.consumeTransactionally(handlers(3).withPrefetch(50), handler)) {
      Awaits.until(
          () -> {
            expireAll();
            return queue.stats().acked() == messages;
          });
    }
    assertThat(effects()).hasSize(messages).doesNotHaveDuplicates();
    assertThat(calls.get()).isGreaterThan(messages);
  }

  @Test
  void the_connection_of_a_handler_neither_ends_the_transaction_nor_outlives_it() throws Exception {
    AtomicReference<Connection> kept = new AtomicReference<>();
    List<String> refused = new CopyOnWriteArrayList<>();
    MessageId id = send("strict");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              kept.set(connection);
              refused(refused, connection::commit);
              refused(refused, connection::rollback);
              refused(refused, () -> connection.setAutoCommit(true));
              refused(refused, () -> connection.abort(Runnable::run));
              connection.close();
              effect(connection, delivery, "still open");
              return Outcome.ack();
            })) {
      Awaits.until(() -> queue.stats().acked() == 1);
    }
    assertThat(refused).hasSize(4).allMatch(message -> message.contains("is not for the handler"));
    assertThat(effects()).containsExactly(id.value());
    assertThat(kept.get().isClosed()).isTrue();
    assertThatThrownBy(() -> kept.get().createStatement())
        .isInstanceOf(SQLException.class)
        .hasMessageContaining("has returned");
  }

  @Test
  void a_delivery_is_settled_by_the_outcome_and_not_by_its_own_methods() {
    Set<String> refused = ConcurrentHashMap.newKeySet();
    send("own");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              refused(refused, delivery::ack);
              refused(refused, () -> delivery.ack(connection));
              refused(refused, delivery::retry);
              refused(refused, () -> queue.ackAll(List.of(delivery)));
              delivery.extend(Duration.ofMinutes(5));
              return Outcome.ack();
            })) {
      Awaits.until(() -> queue.stats().acked() == 1);
    }
    assertThat(refused).hasSize(1).allMatch(message -> message.contains("by nothing else"));
  }

  @Test
  void a_handlers_transaction_has_the_settings_of_the_pool() {
    Set<String> settings = ConcurrentHashMap.newKeySet();
    HikariDataSource pool =
        database.pool(
            config -> {
              config.setConnectionInitSql("SET synchronous_commit = local");
              config.setTransactionIsolation("TRANSACTION_REPEATABLE_READ");
            });
    try (Trunkline other = Trunkline.open(pool, OPENED)) {
      send("settings");
      try (Consumer consumer =
          other
              .queue("orders")
              .consumeTransactionally(
                  (delivery, connection) -> {
                    for (String name :
                        List.of(
                            "synchronous_commit",
                            "transaction_isolation",
                            "enable_seqscan",
                            "enable_bitmapscan",
                            "plan_cache_mode",
                            "jit",
                            "idle_in_transaction_session_timeout")) {
                      settings.add(name + " " + shown(connection, name));
                    }
                    return Outcome.ack();
                  })) {
        Awaits.until(() -> queue.stats().acked() == 1);
      }
    }
    assertThat(settings)
        .containsExactlyInAnyOrder(
            "synchronous_commit local",
            "transaction_isolation read committed",
            "enable_seqscan on",
            "enable_bitmapscan on",
            "plan_cache_mode auto",
            "jit " + database.text("SHOW jit"),
            "idle_in_transaction_session_timeout 30s");
  }

  @Test
  void more_handlers_than_connections_wait_for_each_other_and_the_process_stays_alive() {
    HikariDataSource small = database.pool(config -> config.setMaximumPoolSize(4));
    try (Trunkline other = Trunkline.open(small, OPENED)) {
      List<MessageId> ids = sendNumbers(60);
      try (Consumer consumer =
          other
              .queue("orders")
              .consumeTransactionally(
                  handlers(20),
                  (delivery, connection) -> {
                    effect(connection, delivery, "done");
                    return Outcome.ack();
                  })) {
        Awaits.until(() -> queue.stats().acked() == 60);
      }
      assertThat(effects())
          .containsExactlyInAnyOrderElementsOf(ids.stream().map(MessageId::value).toList());
    }
  }

  @Test
  void a_handler_that_is_still_at_work_when_the_consumer_closes_is_cut_off_and_not_counted()
      throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    send("slow");
    Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery, "never");
              running.countDown();
              try (Statement statement = connection.createStatement()) {
                statement.execute("SELECT pg_sleep(60)");
              }
              return Outcome.ack();
            });
    running.await();
    consumer.close(Duration.ZERO);

    Awaits.until(() -> count("ready") == 1);
    assertThat(effects()).isEmpty();
    assertThat(queue.peek(1).get(0).deliveries()).isZero();
  }

  @Test
  void a_transaction_that_is_idle_for_longer_than_the_visibility_timeout_counts_as_failed()
      throws Exception {
    queue = altered(CONFIG.withVisibilityTimeout(Duration.ofMillis(300)).withMaxDeliveries(1));
    CountDownLatch never = new CountDownLatch(1);
    send("idle");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery, "never");
              never.await(2, TimeUnit.SECONDS);
              return Outcome.ack();
            })) {
      Awaits.until(() -> queue.stats().dead() == 1);
    }
    assertThat(effects()).isEmpty();
  }

  @Test
  void a_purge_waits_for_a_handler_and_removes_what_it_did_not_ack() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    send("purged");
    try (Consumer consumer =
        queue.consumeTransactionally(
            (delivery, connection) -> {
              running.countDown();
              finish.await();
              throw new IllegalStateException("failed");
            })) {
      running.await();
      Thread purger = new Thread(queue::purge);
      purger.start();
      Awaits.until(() -> database.number(WAITING) == 1);
      finish.countDown();
      purger.join(PATIENCE.toMillis());
      assertThat(purger.isAlive()).isFalse();
    }
    assertThat(count("message")).isZero();
  }

  private static final String WAITING =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

  private interface Refusable {
    void run() throws SQLException;
  }

  private static void refused(java.util.Collection<String> refused, Refusable call) {
    try {
      call.run();
    } catch (SQLException | IllegalStateException e) {
      refused.add(String.valueOf(e.getMessage()));
    }
  }

  private static void keepAlive(Connection connection) throws SQLException {
    shown(connection, "jit");
  }

  private static String shown(Connection connection, String setting) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SHOW " + setting)) {
      row.next();
      return row.getString(1);
    }
  }

  static void effect(Connection connection, Delivery delivery, String note) throws SQLException {
    try (PreparedStatement insert =
        connection.prepareStatement("INSERT INTO effect VALUES (?, ?)")) {
      insert.setLong(1, delivery.id().value());
      insert.setString(2, note);
      insert.executeUpdate();
    }
  }

  private List<Long> effects() {
    return database.texts("SELECT message_id FROM effect ORDER BY 1").stream()
        .map(Long::valueOf)
        .toList();
  }
}
