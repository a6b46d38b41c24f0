package dev.trunkline.migration;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.support.OwnServer;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import dev.trunkline.topic.TopicRecord;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A topic's log in the cluster that its dump was restored into. */
@PostgresTest
class RestoredTopicTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF).withUpkeep(false);
  private static final TopicConfig ONE = TopicConfig.defaults().withPartitions(1);

  @TempDir private static Path directory;
  private static OwnServer target;

  private TestDatabase database;

  @BeforeAll
  static void startTheOtherCluster() {
    target = OwnServer.in(directory.resolve("target")).start();
  }

  @AfterAll
  static void stopTheOtherCluster() {
    target.close();
  }

  /** What a reader saw before the dump, and what was committed without having been seen. */
  private record Dumped(List<String> seen, List<String> committed) {}

  /**
   * A log with everything that can be unsettled at the moment of a dump: a transaction that is open
   * and will never be seen, one that was open at the last step and has been committed since, and
   * one that came after it.
   */
  private Dumped dump(String into, boolean targetIsAhead) throws SQLException {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), OPENED);
        Connection late = database.connect();
        Connection open = database.connect()) {
      Topic topic = trunkline.topic("orders", ONE);
      late.setAutoCommit(false);
      open.setAutoCommit(false);
      topic.publish(open, Message.text("open"));
      topic.publish(late, Message.text("late"));
      topic.publishAll(IntStream.range(0, 500).mapToObj(i -> Message.text("seen " + i)).toList());
      List<String> seen = described(topic.read(0, 0, 1_000));
      late.commit();
      topic.publish(Message.text("unseen"));

      DumpedTopic.of(database, "orders").restoreInto(target, into);

      open.commit();
      List<String> committed = new ArrayList<>(List.of("late", "unseen"));
      topic.delete();
      long there = Long.parseLong(target.run(into, "SELECT pg_current_xact_id()::text"));
      long here = database.number("SELECT pg_current_xact_id()::text");
      assertThat(there > here).as("xids there %d, here %d", there, here).isEqualTo(targetIsAhead);
      return new Dumped(seen, committed);
    }
  }

  private void burnXidsHere(int count) {
    database.execute(
        """
        DO $$
        BEGIN
          FOR i IN 1..%d LOOP
            PERFORM pg_current_xact_id();
            COMMIT;
          END LOOP;
        END
        $$
        """
            .formatted(count));
  }

  private void getAheadOfTheOtherCluster() throws SQLException {
    long there = Long.parseLong(target.run("postgres", "SELECT pg_current_xact_id()::text"));
    long here = database.number("SELECT pg_current_xact_id()::text");
    burnXidsHere((int) Math.max(0, there - here) + 20_000);
  }

  /**
   * The floor is above all ids of the last statement, and stays there while what the dump has
   * brought comes into the range of new xids.
   */
  @Test
  void a_batch_gets_no_second_offsets_when_the_new_cluster_comes_to_its_xid() throws Exception {
    getAheadOfTheOtherCluster();
    long xid;
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), OPENED)) {
      Topic topic = trunkline.topic("orders", TopicConfig.defaults().withPartitions(2));
      topic.publishAll(
          IntStream.range(0, 100).mapToObj(i -> Message.text("seen").withKey("key " + i)).toList());
      assertThat(topic.endOffsets().values()).doesNotContain(0L);
      xid = database.number("SELECT max(xid::text::bigint) FROM trunkline.record");
      DumpedTopic.of(database, "orders").restoreInto(target, "reached");
      topic.delete();
    }
    try (HikariDataSource pool = target.pool("reached");
        Trunkline trunkline = Trunkline.open(pool, OPENED);
        Connection holder = target.connect("reached")) {
      Topic topic = trunkline.topic("orders");
      for (int step = 0; step < 3; step++) {
        assertThat(recordsOf(topic)).isEqualTo(100);
        // A step that finds nothing is remembered once a second.
        target.run(
            "reached",
            "UPDATE trunkline.sequencing SET sequenced_at = sequenced_at - interval '1 minute'");
      }
      holder.setAutoCommit(false);
      holder.createStatement().execute("SELECT pg_current_xact_id()");
      long there = Long.parseLong(target.run("reached", "SELECT pg_current_xact_id()::text"));
      assertThat(there).isLessThan(xid);

      target.burnXids((int) (xid - there) + 1_000);
      topic.publish(Message.text("first here"));
      assertThat(recordsOf(topic)).isEqualTo(101);
      holder.rollback();
    }
  }

  private static long recordsOf(Topic topic) {
    return topic.endOffsets().values().stream().mapToLong(Long::longValue).sum();
  }

  @Test
  void the_log_goes_on_where_the_new_cluster_is_behind_and_where_it_is_ahead() throws Exception {
    getAheadOfTheOtherCluster();
    goesOn(dump("behind", false), "behind");
    goesOn(dump("behind_too", false), "behind_too");
    // How many this cluster has spent depends on what was tested before.
    long spentHere = database.number("SELECT pg_current_xact_id()::text");
    target.burnXids((int) spentHere + 20_000);
    goesOn(dump("ahead", true), "ahead");
  }

  private static void goesOn(Dumped dumped, String name) throws Exception {
    try (HikariDataSource pool = target.pool(name);
        HikariDataSource another = target.pool(name);
        Trunkline one = Trunkline.open(pool, OPENED);
        Trunkline two = Trunkline.open(another, OPENED);
        Connection caller = target.connect(name)) {
      caller.setAutoCommit(false);
      Topic topic = one.topic("orders");
      // Before anybody has looked at the log.
      topic.publish(Message.text("first here"));
      topic.publish(caller, Message.text("taken back"));
      caller.rollback();
      caller.createStatement().execute("SELECT pg_current_xact_id()");

      CompletableFuture<List<TopicRecord>> atOnce =
          CompletableFuture.supplyAsync(() -> two.topic("orders").read(0, 0, 1_000));
      List<TopicRecord> records = topic.read(0, 0, 1_000);
      assertThat(described(atOnce.get())).isEqualTo(described(records));

      assertThat(described(records).subList(0, dumped.seen().size()))
          .as("what had been seen")
          .isEqualTo(dumped.seen());
      List<String> expected = new ArrayList<>(dumped.committed());
      expected.add("first here");
      assertThat(texts(records.subList(dumped.seen().size(), records.size()))).isEqualTo(expected);

      topic.publish(caller, Message.text("began before the first step"));
      topic.publish(Message.text("second here"));
      expected.add("second here");
      assertThat(rest(topic, dumped)).isEqualTo(expected);
      caller.commit();
      expected.add("began before the first step");
      for (int i = 0; i < 30; i++) {
        topic.publish(Message.text("more " + i));
        expected.add("more " + i);
        assertThat(topic.endOffsets().get(0)).isEqualTo(dumped.seen().size() + expected.size());
      }
      assertThat(rest(topic, dumped)).isEqualTo(expected);
    }
  }

  private static List<String> rest(Topic topic, Dumped dumped) {
    return texts(topic.read(0, dumped.seen().size(), 1_000));
  }

  private static List<String> described(List<TopicRecord> records) {
    return records.stream()
        .map(
            record ->
                "%d %s %s %s %s"
                    .formatted(
                        record.offset(),
                        record.id(),
                        record.message().text(),
                        record.sourceAt(),
                        record.appendedAt()))
        .toList();
  }

  private static List<String> texts(List<TopicRecord> records) {
    return records.stream().map(record -> record.message().text()).toList();
  }
}
