package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.scenario.CuttingProxy.Commits;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The connection breaks at the worst moment: after COMMIT was sent, before its answer came. */
@PostgresTest
class AmbiguousCommitTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);
  private static final QueueConfig AT_ONCE =
      QueueConfig.defaults()
          .withRetryPolicy(RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO));

  private TestDatabase database;
  private CutConnections cut;
  private Trunkline trunkline;
  private Queue queue;
  private final List<Integer> attempts = new CopyOnWriteArrayList<>();

  @BeforeEach
  void open() throws Exception {
    database.execute("DROP TABLE IF EXISTS effect; CREATE TABLE effect (message_id bigint)");
    cut = new CutConnections(database);
    trunkline = Trunkline.open(cut.pool(), OPENED);
    queue = trunkline.queue("orders", AT_ONCE);
  }

  @AfterEach
  void close() {
    trunkline.close();
    cut.close();
  }

  @Test
  void a_commit_whose_answer_was_lost_is_not_repeated() {
    handleOneWhoseCommitMeets(Commits.LOSE_THE_ANSWER);

    assertThat(attempts).containsExactly(1);
  }

  @Test
  void a_commit_that_never_arrived_is_tried_again() {
    handleOneWhoseCommitMeets(Commits.LOSE);

    assertThat(attempts).containsExactly(1, 2);
  }

  @Test
  void many_messages_take_effect_once_though_commits_are_cut_all_the_time() {
    int messages = 60;
    queue.sendAll(java.util.Collections.nCopies(messages, Message.text("order")));
    try (Consumer consumer = consume(3, new CountDownLatch(0))) {
      AtomicInteger seen = new AtomicInteger();
      Awaits.until(
          () -> {
            // Not all of them: whoever fails again and again waits longer and longer.
            if (attempts.size() >= seen.get() + 3) {
              seen.set(attempts.size());
              cut.proxy().next(cut.proxy().cut() % 2 == 0 ? Commits.LOSE_THE_ANSWER : Commits.LOSE);
            }
            return acked() + dead() == messages;
          });
    }
    assertThat(cut.proxy().cut()).isGreaterThan(5);
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(acked());
    assertThat(database.number("SELECT count(DISTINCT message_id) FROM effect")).isEqualTo(acked());
  }

  private void handleOneWhoseCommitMeets(Commits fate) {
    CountDownLatch armed = new CountDownLatch(1);
    queue.send(Message.text("order"));
    try (Consumer consumer = consume(1, armed)) {
      Awaits.until(() -> !attempts.isEmpty());
      cut.proxy().next(fate);
      armed.countDown();
      Awaits.until(() -> acked() == 1);
      Awaits.until(() -> cut.proxy().cut() == 1);
    }
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(1);
    assertThat(database.number("SELECT count(*) FROM trunkline.message")).isZero();
    assertThat(database.number("SELECT count(*) FROM trunkline.lease")).isZero();
  }

  private Consumer consume(int concurrency, CountDownLatch armed) {
    return queue.consumeTransactionally(
        ConsumerConfig.defaults().withConcurrency(concurrency),
        (delivery, connection) -> {
          attempts.add(delivery.attempt());
          try (PreparedStatement insert =
              connection.prepareStatement("INSERT INTO effect VALUES (?)")) {
            insert.setLong(1, delivery.id().value());
            insert.executeUpdate();
          }
          armed.await();
          return Outcome.ack();
        });
  }

  /** Not through the proxy. */
  private long acked() {
    return database.number("SELECT coalesce(sum(acked), 0) FROM trunkline.tally");
  }

  private long dead() {
    return database.number("SELECT count(*) FROM trunkline.dead_letter");
  }
}
