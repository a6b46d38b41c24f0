package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.work.Fence;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Effects that commit with the ack of their record. */
class SharedTransactionalConsumeTest extends SharedGroupFixture {
  private static final Instant LATER = Instant.now().plus(Duration.ofHours(1));

  @BeforeEach
  void a_table_of_the_users() {
    database.execute("DROP TABLE IF EXISTS effect; CREATE TABLE effect (note text)");
  }

  static void effect(Connection connection, SharedDelivery delivery) throws SQLException {
    try (PreparedStatement insert = connection.prepareStatement("INSERT INTO effect VALUES (?)")) {
      insert.setString(1, delivery.message().text());
      insert.executeUpdate();
    }
  }

  private List<String> effects() {
    return database.texts("SELECT note FROM effect ORDER BY note::integer");
  }

  private static List<String> numbers(int count) {
    return IntStream.range(0, count).mapToObj(String::valueOf).toList();
  }

  private static SharedConsumerConfig handlers(int concurrency) {
    return SharedConsumerConfig.defaults().withConcurrency(concurrency);
  }

  private SharedGroup dyingAfter(int maxDeliveries) {
    return topic.sharedGroup(
        "billing", CONFIG.withRetryPolicy(AT_ONCE.withMaxDeliveries(maxDeliveries)));
  }

  private void awaitSettled(SharedGroup group) {
    // What has no offset yet is no lag.
    topic.endOffsets();
    Awaits.until(() -> group.lag().stream().allMatch(lag -> lag.records() == 0));
  }

  private void awaitDead() {
    Awaits.until(() -> count("dead_letter") == 1);
  }

  private DeadRecord dead(SharedGroup group) {
    return group.deadLetters().browse(1).get(0);
  }

  @Test
  void the_handlers_sql_the_ack_and_what_it_sends_commit_together() throws Exception {
    Queue next = trunkline.queue("next", QueueConfig.defaults());
    SharedGroup billing = billing();
    CountDownLatch done = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              next.send(connection, Message.text("follow-up"));
              done.countDown();
              finish.await();
              return Outcome.ack();
            })) {
      done.await();
      assertThat(effects()).isEmpty();
      assertThat(next.receive(1)).isEmpty();
      assertThat(billing.lag().stream().mapToLong(SharedLag::inFlight).sum()).isEqualTo(1);
      finish.countDown();
      awaitSettled(billing);
      assertThat(consumer.isClosed()).isFalse();
    }
    assertThat(effects()).containsExactly("0");
    assertThat(next.stats().ready()).isEqualTo(1);
    assertThat(count("shared_lease")).isZero();
    next.purge();
  }

  @Test
  void an_exception_rolls_everything_back_and_counts_and_the_poison_record_dies() {
    SharedGroup billing = dyingAfter(3);
    List<Integer> attempts = new CopyOnWriteArrayList<>();
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              attempts.add(delivery.attempt());
              effect(connection, delivery);
              throw new IllegalStateException("no stock");
            })) {
      awaitDead();
    }
    assertThat(attempts).containsExactly(1, 2, 3);
    assertThat(effects()).isEmpty();
    assertThat(dead(billing).reason()).isEqualTo(DeathReason.DELIVERY_LIMIT);
    assertThat(dead(billing).attempts()).isEqualTo(3);
    assertThat(dead(billing).error().orElseThrow().message()).isEqualTo("no stock");
  }

  @Test
  void what_is_not_to_be_tried_again_is_dead_at_once_and_leaves_no_effect() {
    SharedGroup billing = billing();
    AtomicInteger calls = new AtomicInteger();
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            SharedConsumerConfig.defaults()
                .withNonRetryable(Set.of(IllegalArgumentException.class)),
            (delivery, connection) -> {
              calls.incrementAndGet();
              effect(connection, delivery);
              throw new IllegalArgumentException("no such customer");
            })) {
      awaitDead();
    }
    assertThat(calls).hasValue(1);
    assertThat(effects()).isEmpty();
    assertThat(dead(billing).reason()).isEqualTo(DeathReason.NON_RETRYABLE);
  }

  @Test
  void only_an_ack_commits_what_the_handler_did() {
    SharedGroup billing = billing();
    publish(5);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              return switch (delivery.message().text()) {
                case "1" -> Outcome.retry(Duration.ofDays(1));
                case "2" -> Outcome.release(Duration.ofDays(1));
                case "3" -> Outcome.deadLetter("hopeless");
                default -> Outcome.ack();
              };
            })) {
      awaitDead();
      Awaits.until(() -> count("shared_waiting") == 2 && count("shared_lease") == 0);
    }
    assertThat(effects()).containsExactly("0", "4");
    assertThat(dead(billing).reason()).isEqualTo(DeathReason.REJECTED);
    assertThat(
            database.texts("SELECT deliveries FROM trunkline.shared_waiting ORDER BY deliveries"))
        .containsExactly("0", "1");
  }

  @Test
  void an_error_of_the_database_that_the_handler_swallows_is_no_ack() {
    SharedGroup billing = dyingAfter(1);
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              try (Statement statement = connection.createStatement()) {
                statement.execute("SELECT 1 / 0");
              } catch (SQLException e) {
                assertThat(e.getSQLState()).isEqualTo("22012");
              }
              return Outcome.ack();
            })) {
      awaitDead();
    }
    assertThat(effects()).isEmpty();
  }

  @Test
  void a_commit_that_the_database_refuses_counts_as_failed() {
    database.execute(
        """
        ALTER TABLE effect ADD CONSTRAINT once UNIQUE (note) DEFERRABLE INITIALLY DEFERRED;
        INSERT INTO effect VALUES ('0')
        """);
    SharedGroup billing = dyingAfter(2);
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              return Outcome.ack();
            })) {
      awaitDead();
    }
    assertThat(dead(billing).attempts()).isEqualTo(2);
    assertThat(dead(billing).error().orElseThrow().message()).contains("once");
    assertThat(effects()).containsExactly("0");
  }

  @Test
  void nobody_takes_back_what_a_handler_works_on_and_its_lease_is_renewed_meanwhile()
      throws Exception {
    SharedGroup billing =
        topic.sharedGroup("billing", CONFIG.withVisibilityTimeout(Duration.ofSeconds(3)));
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    AtomicInteger calls = new AtomicInteger();
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              calls.incrementAndGet();
              effect(connection, delivery);
              running.countDown();
              while (!finish.await(100, TimeUnit.MILLISECONDS)) {
                keepAlive(connection);
              }
              return Outcome.ack();
            })) {
      running.await();
      String visibleAt = "SELECT visible_at FROM trunkline.shared_lease";
      String before = database.text(visibleAt);
      assertThat(reapAt(LATER)).isZero();
      Awaits.until(() -> !String.valueOf(database.text(visibleAt)).equals(before));
      assertThat(reapAt(LATER)).isZero();
      finish.countDown();
      awaitSettled(billing);
    }
    assertThat(calls).hasValue(1);
    assertThat(effects()).containsExactly("0");
  }

  private static void keepAlive(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute("SELECT 1");
    }
  }

  @Test
  void leases_locked_by_a_hundred_handlers_keep_the_reaper_from_no_other_lease() throws Exception {
    publish(120);
    topic.endOffsets();
    SharedGroup billing = billing();
    List<SharedDelivery> locked = billing.receive(NOW.withMaxRecords(119));
    Fence<SharedDelivery> fence = LeasedRecords.fence(library());
    List<SharedDelivery> apart = fence.apart(locked);
    SharedDelivery other = billing.receive(NOW).get(0);
    try (Connection holder = database.connect()) {
      holder.setAutoCommit(false);
      library()
          .on(
              holder,
              session -> {
                apart.forEach(delivery -> assertThat(fence.hold(session, delivery)).isTrue());
                return true;
              });

      assertThat(reapAt(LATER)).isEqualTo(1);
      assertThat(texts(billing.receive(NOW))).containsExactly(other.message().text());
      holder.rollback();
    }
    assertThat(reapAt(LATER)).isEqualTo(120);
  }

  @Test
  void a_handler_is_not_called_for_what_was_lost_while_it_waited_and_nothing_is_done_twice()
      throws Exception {
    topic.publish(Message.text("0").withKey("same"));
    topic.publish(Message.text("1").withKey("same"));
    topic.endOffsets();
    SharedGroup billing = billing();
    SharedGroup elsewhere = open().topic(topic.name()).sharedGroup("billing", CONFIG);
    SharedTransactionalHandling handling =
        new SharedTransactionalHandling(
            "test",
            library(),
            (delivery, connection) -> {
              effect(connection, delivery);
              return Outcome.ack();
            });
    List<SharedDelivery> held = handling.claimed(billing.receive(NOW));
    assertThat(handling.handle(held.get(0))).isEmpty();
    reapAt(LATER);
    SharedDelivery taken = elsewhere.receive(NOW).get(0);

    assertThat(handling.handle(held.get(1))).isEmpty();

    assertThat(held.get(1).isLeaseLost()).isTrue();
    assertThat(effects()).containsExactly("0");
    taken.ack();
    awaitSettled(billing);
  }

  @Test
  void what_loses_its_lease_while_the_handler_runs_is_rolled_back() throws Exception {
    SharedGroup billing = billing();
    publish(1);
    SharedTransactionalHandling handling =
        new SharedTransactionalHandling(
            "test",
            library(),
            (delivery, connection) -> {
              effect(connection, delivery);
              // As a crash of the server may, that has undone the claim: nothing less takes it away
              // from the lock.
              try (Statement statement = connection.createStatement()) {
                statement.execute("DELETE FROM trunkline.shared_lease");
              }
              return Outcome.ack();
            });
    List<SharedDelivery> held = handling.claimed(billing.receive(PATIENTLY));

    assertThat(handling.handle(held.get(0))).isEmpty();

    assertThat(effects()).isEmpty();
    assertThat(count("shared_lease")).isEqualTo(1);
  }

  @Test
  void each_record_takes_effect_once_while_leases_are_lost_and_handlers_fail() {
    SharedGroup billing = dyingAfter(1_000);
    SharedGroup elsewhere =
        open()
            .topic(topic.name())
            .sharedGroup("billing", CONFIG.withRetryPolicy(AT_ONCE.withMaxDeliveries(1_000)));
    int records = 300;
    publish(records);
    topic.endOffsets();
    AtomicInteger calls = new AtomicInteger();
    SharedTransactionalHandler handler =
        (delivery, connection) -> {
          effect(connection, delivery);
          return switch (calls.incrementAndGet() % 7) {
            case 0 -> throw new IllegalStateException("now and then");
            case 3 -> Outcome.release();
            default -> Outcome.ack();
          };
        };
    billing.consumeTransactionally(handlers(3).withPrefetch(50), handler);
    elsewhere.consumeTransactionally(handlers(3).withPrefetch(50), handler);

    Awaits.until(
        () -> {
          reapAt(LATER);
          return billing.lag().stream().allMatch(lag -> lag.records() == 0);
        });

    assertThat(effects()).containsExactlyElementsOf(numbers(records));
    assertThat(calls.get()).isGreaterThan(records);
  }

  @Test
  void a_replayed_record_takes_effect_once_and_is_gone() {
    SharedGroup billing = billing();
    publish(1);
    billing.receive(PATIENTLY).get(0).deadLetter("not now");
    billing.deadLetters().replayAll();
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              return Outcome.ack();
            })) {
      awaitSettled(billing);
    }
    assertThat(effects()).containsExactly("0");
    assertThat(count("group_redelivery")).isZero();
    assertThat(count("dead_letter")).isZero();
  }

  @Test
  void a_delivery_is_settled_by_the_outcome_and_not_by_its_own_methods() {
    Set<String> refused = ConcurrentHashMap.newKeySet();
    SharedGroup billing = billing();
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              for (Runnable settle :
                  List.<Runnable>of(
                      delivery::ack,
                      () -> delivery.ack(connection),
                      delivery::retry,
                      () -> billing.ackAll(List.of(delivery)))) {
                try {
                  settle.run();
                  refused.add("it was not");
                } catch (IllegalStateException e) {
                  refused.add(String.valueOf(e.getMessage()));
                }
              }
              delivery.extend(Duration.ofMinutes(5));
              return Outcome.ack();
            })) {
      awaitSettled(billing);
    }
    assertThat(refused).hasSize(1).allMatch(message -> message.contains("by nothing else"));
  }

  @Test
  void handlers_of_queues_and_groups_together_leave_the_process_three_connections() {
    try (var small = database.pool(config -> config.setMaximumPoolSize(4));
        Trunkline other = Trunkline.open(small, QUICK)) {
      publish(30);
      topic.endOffsets();
      Queue orders = other.queue("next", QueueConfig.defaults());
      orders.sendAll(numbers(30).stream().map(Message::text).toList());
      AtomicInteger open = new AtomicInteger();
      AtomicInteger most = new AtomicInteger();
      SharedGroup billing = other.topic(topic.name()).sharedGroup("billing", CONFIG);
      billing.consumeTransactionally(
          handlers(10),
          (delivery, connection) -> {
            most.accumulateAndGet(open.incrementAndGet(), Math::max);
            effect(connection, delivery);
            open.decrementAndGet();
            return Outcome.ack();
          });
      orders.consumeTransactionally(
          (delivery, connection) -> {
            most.accumulateAndGet(open.incrementAndGet(), Math::max);
            keepAlive(connection);
            open.decrementAndGet();
            return Outcome.ack();
          });

      awaitSettled(billing);
      Awaits.until(() -> orders.stats().acked() == 30);

      assertThat(most).hasValue(1);
      assertThat(effects()).containsExactlyElementsOf(numbers(30));
    }
  }

  @Test
  void closing_waits_for_the_running_handler_and_commits_what_it_did() throws Exception {
    SharedGroup billing = billing();
    publish(1);
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              running.countDown();
              finish.await();
              return Outcome.ack();
            });
    running.await();
    Thread closer = new Thread(consumer::close);
    closer.start();
    Awaits.until(consumer::isClosed);
    assertThat(closer.isAlive()).isTrue();
    assertThat(effects()).isEmpty();
    finish.countDown();
    Awaits.until(() -> !closer.isAlive());

    assertThat(effects()).containsExactly("0");
    assertThat(count("shared_lease")).isZero();
  }

  @Test
  void a_handler_that_is_still_at_work_when_the_consumer_closes_is_cut_off_and_not_counted()
      throws Exception {
    SharedGroup billing = billing();
    CountDownLatch running = new CountDownLatch(1);
    publish(1);
    SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              running.countDown();
              try (Statement statement = connection.createStatement()) {
                statement.execute("SELECT pg_sleep(60)");
              }
              return Outcome.ack();
            });
    running.await();
    consumer.close(Duration.ZERO);

    List<SharedDelivery> again = billing.receive(PATIENTLY);
    assertThat(effects()).isEmpty();
    assertThat(again).hasSize(1).allMatch(delivery -> delivery.attempt() == 1);
  }

  @Test
  void a_transaction_that_is_idle_for_longer_than_the_visibility_timeout_counts_as_failed() {
    SharedGroup billing =
        topic.sharedGroup(
            "billing",
            CONFIG
                .withVisibilityTimeout(Duration.ofMillis(300))
                .withRetryPolicy(AT_ONCE.withMaxDeliveries(1)));
    CountDownLatch never = new CountDownLatch(1);
    publish(1);
    try (SharedConsumer consumer =
        billing.consumeTransactionally(
            (delivery, connection) -> {
              effect(connection, delivery);
              never.await(2, TimeUnit.SECONDS);
              return Outcome.ack();
            })) {
      awaitDead();
    }
    assertThat(effects()).isEmpty();
  }
}
