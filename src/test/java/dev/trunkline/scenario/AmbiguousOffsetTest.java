package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.scenario.CuttingProxy.Commits;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Subscription;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The connection breaks while a record's effect and its offset are being committed together. */
@PostgresTest
class AmbiguousOffsetTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF).withUpkeep(false);
  private static final GroupConfig AT_ONCE =
      GroupConfig.from(StartFrom.earliest())
          .withRetryPolicy(RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO));

  private final List<String> attempts = new CopyOnWriteArrayList<>();
  private TestDatabase database;
  private CutConnections cut;
  private Trunkline cutOff;
  private Trunkline untouched;
  private Topic topic;

  @BeforeEach
  void open() throws Exception {
    database.execute(
        "DROP TABLE IF EXISTS effect; CREATE TABLE effect (partition integer, place bigint)");
    cut = new CutConnections(database);
    untouched = Trunkline.open(database.dataSource(), OPENED);
    topic = untouched.topic("orders", TopicConfig.defaults().withPartitions(3));
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

    assertThat(attempts).containsExactly("order");
  }

  @Test
  void a_commit_that_never_arrived_is_tried_again() {
    handleOneWhoseCommitMeets(Commits.LOSE);

    assertThat(attempts).containsExactly("order", "order");
  }

  @Test
  void many_records_take_effect_once_and_in_order_though_commits_are_cut_again_and_again() {
    int records = 60;
    topic.publishAll(
        IntStream.range(0, records).mapToObj(i -> Message.text("m" + i).withKey("k" + i)).toList());
    try (Subscription subscription = subscribe(this::cutSome)) {
      Awaits.until(() -> committed() == records);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(cut.proxy().cut()).isGreaterThan(5);
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(records);
    assertThat(database.number("SELECT count(*) FROM (SELECT DISTINCT * FROM effect) AS e"))
        .isEqualTo(records);
    assertThat(
            database.number(
                """
                SELECT count(*)
                FROM (SELECT place, lag(place) OVER (PARTITION BY partition ORDER BY ctid) AS before FROM effect) AS e
                WHERE place <> before + 1
                """))
        .as("out of order")
        .isZero();
  }

  /** What the handler does last. */
  @FunctionalInterface
  private interface Work {
    void run() throws Exception;
  }

  /** Not all of them: whoever fails again and again waits longer and longer. */
  private void cutSome() {
    if (attempts.size() % 4 == 0) {
      cut.proxy().next(cut.proxy().cut() % 2 == 0 ? Commits.LOSE_THE_ANSWER : Commits.LOSE);
    }
  }

  private void handleOneWhoseCommitMeets(Commits fate) {
    CountDownLatch armed = new CountDownLatch(1);
    topic.publish(Message.text("order"));
    try (Subscription subscription = subscribe(armed::await)) {
      Awaits.until(() -> !attempts.isEmpty());
      cut.proxy().next(fate);
      armed.countDown();
      Awaits.until(() -> committed() == 1);
      Awaits.until(() -> cut.proxy().cut() == 1);
      topic.publish(Message.text("the next"));
      Awaits.until(() -> committed() == 2);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(attempts.remove("the next")).isTrue();
    assertThat(database.number("SELECT count(*) FROM effect")).isEqualTo(2);
  }

  private Subscription subscribe(Work beforeTheCommit) {
    return cutOff
        .topic("orders")
        .subscribeTransactionally(
            "billing",
            AT_ONCE,
            (record, connection) -> {
              attempts.add(record.message().text());
              try (PreparedStatement insert =
                  connection.prepareStatement("INSERT INTO effect VALUES (?, ?)")) {
                insert.setInt(1, record.partition());
                insert.setLong(2, record.offset());
                insert.executeUpdate();
              }
              beforeTheCommit.run();
            });
  }

  /** By the database, not through the proxy. */
  private long committed() {
    return database.number(
        """
        SELECT coalesce(sum(newest), 0)
        FROM (SELECT max(committed) AS newest FROM trunkline.group_commit GROUP BY partition) AS c
        """);
  }
}
