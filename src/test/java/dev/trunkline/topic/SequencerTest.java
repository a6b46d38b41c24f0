package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class SequencerTest {
  private TestDatabase database;
  private Trunkline trunkline;
  private Database own;
  private Topic topic;
  private TopicRow row;
  private Sequencer sequencer;

  @BeforeEach
  void open() {
    trunkline =
        Trunkline.open(
            database.dataSource(),
            TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF).withUpkeep(false));
    topic = trunkline.topic("sequenced", TopicConfig.defaults().withPartitions(1));
    own = new Database(database.dataSource());
    row = own.run(session -> TopicStore.find(session, "sequenced")).orElseThrow();
    sequencer = new Sequencer(own, row);
  }

  @AfterEach
  void close() {
    topic.delete();
    trunkline.close();
  }

  private List<String> texts() {
    return topic.read(0, 0, Topic.MAX_READ).stream()
        .map(record -> record.message().text())
        .toList();
  }

  private void publish(String text) {
    topic.publish(Message.text(text));
  }

  private long lastId() {
    return database.number("SELECT last_value FROM trunkline.record_%d_id_seq".formatted(row.id()));
  }

  /** The floor rises by steps that are taken when everybody has ended. */
  private void raiseTheKnownFloorAbove(long id) {
    Awaits.until(
        () -> {
          topic.publishAll(Collections.nCopies(50, Message.text("to raise the floor")));
          sequencer.step();
          return sequencer.floorId() > id;
        });
  }

  private List<Message> numbered(int count) {
    return IntStream.range(0, count).mapToObj(i -> Message.text("m" + i)).toList();
  }

  private List<String> numberedTexts(int count) {
    return numbered(count).stream().map(message -> message.text()).toList();
  }

  @Test
  void a_batch_has_one_entry_in_the_index_of_what_is_new() {
    topic.publishAll(numbered(20));
    publish("alone");

    assertThat(
            database.number(
                "SELECT count(*) FROM trunkline.record WHERE topic_id = %d AND followers IS NOT NULL"
                    .formatted(row.id())))
        .isEqualTo(2);
    assertThat(
            database.text(
                "SELECT indexdef FROM pg_indexes WHERE indexname = 'record_%d_0_xid_idx'"
                    .formatted(row.id())))
        .endsWith("WHERE (followers IS NOT NULL)");
    assertThat(texts()).hasSize(21).startsWith("m0").endsWith("m19", "alone");
  }

  @Test
  void the_largest_batch_at_the_end_of_a_chunk_is_in_it_as_a_whole() {
    publish("before");
    database.execute(
        "SELECT setval('trunkline.record_%d_id_seq', (1::bigint << 40) - 2 * 2048)"
            .formatted(row.id()));
    List<RecordId> ids = topic.publishAll(numbered(OutgoingRecords.MAX_RECORDS));
    publish("after");

    assertThat(ids).extracting(id -> id.value() >> 40).containsOnly(0L);
    assertThat(ids.get(ids.size() - 1).value())
        .isGreaterThan((1L << 40) - RecordStore.BLOCK)
        .isEqualTo(ids.get(0).value() + OutgoingRecords.MAX_RECORDS - 1);
    assertThat(lastId() >> 40).isEqualTo(1);
    List<String> expected = new ArrayList<>(List.of("before"));
    expected.addAll(numberedTexts(OutgoingRecords.MAX_RECORDS));
    expected.add("after");
    assertThat(texts()).isEqualTo(expected);
  }

  @Test
  void a_batch_is_cut_into_segments_of_200_at_most_whatever_its_size() {
    for (int size : new int[] {49, 50, 51, 199, 200, 201, 1_999, 2_001}) {
      long before = topic.endOffsets().get(0);
      topic.publishAll(numbered(7));
      topic.publishAll(numbered(size));
      topic.publishAll(numbered(3));

      List<String> expected = new ArrayList<>(numberedTexts(7));
      expected.addAll(numberedTexts(size));
      expected.addAll(numberedTexts(3));
      assertThat(topic.read(0, before, Topic.MAX_READ))
          .extracting(record -> record.message().text())
          .isEqualTo(expected);
    }
    assertThat(
            database.number(
                "SELECT max(cardinality(ids)) FROM trunkline.segment WHERE topic_id = %d"
                    .formatted(row.id())))
        .isBetween(150L, 200L);
  }

  @Test
  void what_a_process_publishes_that_knows_no_batches_gets_its_offsets_too() {
    database.execute(
        """
        INSERT INTO trunkline.record (xid, topic_id, partition, id, payload)
        SELECT pg_current_xact_id(), %1$d, 0, nextval('trunkline.record_%1$d_id_seq'), convert_to('old ' || n, 'UTF8')
        FROM generate_series(1, 3) n
        """
            .formatted(row.id()));

    assertThat(texts()).containsExactly("old 1", "old 2", "old 3");
  }

  @Test
  void two_steps_at_a_time_give_each_record_one_offset_and_the_second_says_that_it_was_busy()
      throws SQLException {
    publish("one");
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      List<SequenceStore.Found> first =
          own.on(connection, session -> SequenceStore.sequence(session, row.id(), 0));
      Sequencer.Step second = sequencer.step();

      assertThat(first.get(0).sequenced()).isEqualTo(1);
      assertThat(second.busy()).isTrue();
      assertThat(second.sequenced()).isZero();
      assertThat(second.bounds().ends()).containsExactly(0L);
      connection.rollback();
    }

    assertThat(sequencer.step().sequenced()).isEqualTo(1);
    assertThat(texts()).containsExactly("one");
  }

  @Test
  void a_process_that_knows_of_a_higher_floor_than_there_is_skips_nothing() throws SQLException {
    publish("one");
    long tooHigh = 1_000_000;
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      List<SequenceStore.Found> found =
          own.on(connection, session -> SequenceStore.sequence(session, row.id(), tooHigh));
      connection.commit();
      assertThat(found.get(0).isMine()).isFalse();
      assertThat(found.get(0).floorId()).isZero();
    }

    assertThat(texts()).containsExactly("one");
  }

  /** Records, offsets and steps as they are at one moment; put back, as a restore does it. */
  private final class Dump {
    private static final List<String> TABLES = List.of("record", "segment", "sequencing");

    private final long lastId = lastId();

    Dump() {
      for (String table : TABLES) {
        database.execute(
            "CREATE TABLE dumped_%1$s AS SELECT * FROM trunkline.%1$s WHERE topic_id = %2$d"
                .formatted(table, row.id()));
      }
    }

    void restore() {
      for (String table : TABLES) {
        database.execute(
            """
            DELETE FROM trunkline.%1$s WHERE topic_id = %2$d;
            INSERT INTO trunkline.%1$s OVERRIDING SYSTEM VALUE SELECT * FROM dumped_%1$s;
            DROP TABLE dumped_%1$s
            """
                .formatted(table, row.id()));
      }
      // A step without records is remembered only when the last one is not of this second.
      database.execute(
          """
          SELECT setval('trunkline.record_%d_id_seq', %d);
          UPDATE trunkline.sequencing SET sequenced_at = sequenced_at - interval '1 minute'
          """
              .formatted(row.id(), lastId));
    }
  }

  @Test
  void a_process_that_outlives_a_restore_of_its_database_loses_nothing() {
    publish("dumped");
    sequencer.step();
    publish("dumped without an offset");
    Dump dump = new Dump();
    raiseTheKnownFloorAbove(dump.lastId + 1);

    dump.restore();
    publish("after the restore");
    assertThat(sequencer.step().busy()).as("whether there may be more").isTrue();
    assertThat(sequencer.step().sequenced()).isEqualTo(2);

    assertThat(texts()).containsExactly("dumped", "dumped without an offset", "after the restore");
  }

  @Test
  void a_process_that_outlives_a_restore_from_another_cluster_goes_on_in_one_step() {
    publish("dumped");
    sequencer.step();
    publish("dumped without an offset");
    Dump dump = new Dump();
    raiseTheKnownFloorAbove(dump.lastId + 10);

    dump.restore();
    database.execute("UPDATE trunkline.sequencing SET cluster = cluster + 1");
    publish("after the restore");
    Sequencer.Step step = sequencer.step();

    assertThat(step.busy()).isFalse();
    assertThat(step.bounds().ends()).containsExactly(3L);
    assertThat(texts()).containsExactly("dumped", "dumped without an offset", "after the restore");
  }

  @Test
  void a_step_at_another_isolation_fails_instead_of_giving_offsets_twice() throws SQLException {
    publish("one");
    try (Connection connection = database.connect()) {
      connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      connection.setAutoCommit(false);

      assertThatThrownBy(
              () -> own.on(connection, session -> SequenceStore.sequence(session, row.id(), 0)))
          .isInstanceOf(DatabaseException.class)
          .hasMessageContaining("ISOLATION LEVEL");
      connection.rollback();
    }

    assertThat(texts()).containsExactly("one");
  }

  @Test
  void steps_that_newer_ones_have_replaced_are_deleted_and_the_newest_stays() {
    for (int i = 0; i < 20; i++) {
      publish("m" + i);
      sequencer.step();
    }
    String newest = database.text("SELECT max(id) FROM trunkline.sequencing");

    own.run(session -> SequenceStore.prune(session, row.id(), 0));

    assertThat(database.texts("SELECT id FROM trunkline.sequencing")).containsExactly(newest);
    assertThat(texts()).hasSize(20);
  }

  @Test
  void a_statement_timeout_that_is_too_short_for_a_large_step_does_not_stop_the_log()
      throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      for (int i = 0; i < 10; i++) {
        topic.publishAll(
            connection, IntStream.range(0, 2_000).mapToObj(n -> Message.text("m" + n)).toList());
      }
      connection.commit();
    }
    try (HikariDataSource pool =
        database.pool(config -> config.setConnectionInitSql("SET statement_timeout = '20ms'"))) {
      Sequencer hurried = new Sequencer(new Database(pool), row);

      assertThat(hurried.step().sequenced()).isEqualTo(20_000);
    }
  }
}
