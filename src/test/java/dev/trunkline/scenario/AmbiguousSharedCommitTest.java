package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.scenario.CuttingProxy.Commits;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.SharedConsumer;
import dev.trunkline.topic.SharedConsumerConfig;
import dev.trunkline.topic.SharedGroup;
import dev.trunkline.topic.SharedGroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The connection breaks while a record's effect and its ack are being committed together. */
@PostgresTest
class AmbiguousSharedCommitTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF).withUpkeep(false);
  private static final SharedGroupConfig AT_ONCE =
      SharedGroupConfig.from(StartFrom.earliest())
          .withRetryPolicy(
              RetryPolicy.defaults()
                  .withDelays(Duration.ZERO, Duration.ZERO)
                  .withMaxDeliveries(1_000));

  private final List<Integer> attempts = new CopyOnWriteArrayList<>();
  private TestDatabase database;
  private CutConnections cut;
  private Trunkline cutOff;
  private Trunkline untouched;
  private Topic topic;

  @BeforeEach
  void open() throws Exception {
    database.execute("DROP TABLE IF EXISTS effect; CREATE TABLE effect (note text)");
    cut = new CutConnections(database);
    untouched = Trunkline.open(database.dataSource(), OPENED);
    topic = untouched.topic("orders", TopicConfig.defaults().withPartitions(2));
    cutOff = Trunkline.open(cut.pool(), OPENED);
  }

  @AfterEach
  void close() {
    cutOff.close();
    cut.close();
    topic.delete();
    untouched.close();
    database.truncateAll();
  }

  @Test
  void a_commit_whose_answer_was_lost_is_not_repeated() {
    handleOneWhoseCommitMeets(Commits.LOSE_THE_ANSWER);

    assertThat(attempts).containsExactly(1);
  }

  @Test
  void a_commit_that_never_arrived_is_tried_again_and_counts() {
    handleOneWhoseCommitMeets(Commits.LOSE);

    assertThat(attempts).containsExactly(1, 2);
  }

  @Test
  void many_records_take_effect_once_though_commits_are_cut_again_and_again() {
    int records = 60;
    publish(records);
    try (SharedConsumer consumer = consume(3, new CountDownLatch(0))) {
      AtomicInteger seen = new AtomicInteger();
      Awaits.until(
          () -> {
            // Not all of them: a pool that loses every connection gives none.
            if (attempts.size() >= seen.get() + 3) {
              seen.set(attempts.size());
              cut.proxy().next(cut.proxy().cut() % 2 == 0 ? Commits.LOSE_THE_ANSWER : Commits.LOSE);
            }
            return unsettled() == 0;
          });
    }
    assertThat(cut.proxy().cut()).isGreaterThan(5);
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(records);
    assertThat(database.number("SELECT count(DISTINCT note) FROM effect")).isEqualTo(records);
    assertThat(database.number("SELECT count(*) FROM trunkline.dead_letter")).isZero();
  }

  private void publish(int records) {
    topic.publishAll(
        IntStream.range(0, records).mapToObj(i -> Message.text("m" + i).withKey("k" + i)).toList());
    topic.endOffsets();
  }

  private void handleOneWhoseCommitMeets(Commits fate) {
    CountDownLatch armed = new CountDownLatch(1);
    publish(1);
    try (SharedConsumer consumer = consume(1, armed)) {
      Awaits.until(() -> !attempts.isEmpty());
      cut.proxy().next(fate);
      armed.countDown();
      Awaits.until(() -> unsettled() == 0);
      Awaits.until(() -> cut.proxy().cut() == 1);
    }
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(1);
    assertThat(database.number("SELECT count(*) FROM trunkline.shared_lease")).isZero();
    assertThat(database.number("SELECT count(*) FROM trunkline.shared_waiting")).isZero();
  }

  private SharedConsumer consume(int concurrency, CountDownLatch armed) {
    return cutOff
        .topic("orders")
        .sharedGroup("billing", AT_ONCE)
        .consumeTransactionally(
            SharedConsumerConfig.defaults().withConcurrency(concurrency),
            (delivery, connection) -> {
              attempts.add(delivery.attempt());
              try (PreparedStatement insert =
                  connection.prepareStatement("INSERT INTO effect VALUES (?)")) {
                insert.setString(1, delivery.message().text());
                insert.executeUpdate();
              }
              armed.await();
              return Outcome.ack();
            });
  }

  /** Not through the proxy. */
  private long unsettled() {
    SharedGroup billing = topic.sharedGroup("billing", AT_ONCE);
    return billing.lag().stream().mapToLong(lag -> lag.records()).sum();
  }
}
