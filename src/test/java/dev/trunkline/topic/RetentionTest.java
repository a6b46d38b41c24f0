package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class RetentionTest extends UpkeepFixture {
  private static final Retention TEN_MINUTES = Retention.forever().withAge(Duration.ofMinutes(10));

  private long bytes() {
    return database.number("SELECT bytes FROM trunkline.topics WHERE topic = 'orders'");
  }

  private long logStart(Topic topic) {
    return topic.beginningOffsets().get(0);
  }

  @Test
  void records_past_their_age_go_and_their_disk_is_free() {
    Topic topic = topic(TEN_MINUTES);
    publish(topic, 3000);
    roll();
    publish(topic, 10);
    assertThat(bytes()).isGreaterThan(3_000_000);
    upkeep.runOnce();
    assertThat(logStart(topic)).isZero();

    anHourPasses();
    publish(topic, 5);
    upkeep.runOnce();

    // The chunk with the ten is still the current one when the round begins.
    assertThat(topic.beginningOffsets()).isEqualTo(Map.of(0, 3000L));
    assertThat(topic.endOffsets()).isEqualTo(Map.of(0, 3015L));
    assertThat(bytes()).isLessThan(500_000);
    assertThat(topic.read(0, 3000, 100)).extracting(TopicRecord::offset).startsWith(3000L);
    assertThatThrownBy(() -> topic.read(0, 2999, 100))
        .isInstanceOf(OffsetOutOfRangeException.class)
        .hasMessageContaining("from 3000 up to, not including, 3015");
  }

  @Test
  void the_emptied_table_and_its_segments_are_gone_in_the_end() {
    Topic topic = topic(TEN_MINUTES);
    publish(topic, 100);
    roll();
    publish(topic, 10);
    anHourPasses();

    Awaits.until(
        () -> {
          upkeep.runOnce();
          return database.number("SELECT count(*) FROM trunkline.chunk WHERE number = 0") == 0;
        });

    assertThat(database.number("SELECT count(*) FROM trunkline.segment WHERE chunk = 0")).isZero();
    assertThat(
            database.text(
                "SELECT to_regclass(format('trunkline.record_%s_0', max(id))) FROM trunkline.topic"))
        .isNull();
  }

  @Test
  void chunks_are_closed_by_age_and_one_is_always_ahead() {
    Topic topic = topic(TEN_MINUTES);
    publish(topic, 1);
    anHourPasses();

    upkeep.runOnce();

    assertThat(chunks()).isEqualTo(List.of("0", "1", "2"));
    assertThat(topic.publish(Message.text("x")).value() >> 40).isEqualTo(1);
    assertThat(topic.read(0, 0, 10)).hasSize(2);
  }

  @Test
  void a_chunk_that_nothing_was_published_to_is_not_closed() {
    topic(TEN_MINUTES);
    anHourPasses();

    upkeep.runOnce();

    assertThat(chunks()).isEqualTo(List.of("0", "1"));
  }

  @Test
  void a_sequence_that_a_crash_moved_without_its_rows_is_followed() {
    Topic topic = topic(TEN_MINUTES);
    publish(topic, 1);
    database.execute(
        "SELECT setval(id_sequence, 1::bigint << 40, true) FROM trunkline.topic WHERE deleted_at IS NULL");
    publish(topic, 1);

    upkeep.runOnce();

    assertThat(chunks()).isEqualTo(List.of("0", "1", "2"));
    assertThat(database.texts("SELECT number FROM trunkline.chunk WHERE closed_at IS NOT NULL"))
        .isEqualTo(List.of("0"));
    assertThat(topic.read(0, 0, 10)).hasSize(2);
  }

  @Test
  void what_is_over_the_bytes_goes_oldest_first_and_so_much_stays() {
    Topic topic = topic(Retention.forever().withBytes(2L * 1024 * 1024));
    for (int i = 0; i < 10; i++) {
      publish(topic, 1000);
      upkeep.runOnce();
    }

    assertThat(bytes()).isBetween(2L * 1024 * 1024, 5L * 1024 * 1024);
    long start = logStart(topic);
    assertThat(start).isGreaterThan(4000);
    assertThat(topic.endOffsets()).isEqualTo(Map.of(0, 10_000L));
    assertThat(topic.read(0, start, Topic.MAX_READ)).hasSize((int) (10_000 - start));
  }

  @Test
  void a_late_record_in_an_old_chunk_costs_no_newer_ones_when_bytes_count() throws SQLException {
    Topic topic = topic(Retention.forever().withBytes(2L * 1024 * 1024));
    try (Connection late = database.connect()) {
      late.setAutoCommit(false);
      topic.publish(late, Message.text("late"));
      for (int i = 0; i < 5; i++) {
        publish(topic, 1000);
        roll();
      }
      upkeep.runOnce();
      assertThat(logStart(topic)).as("its chunk is in use").isZero();
      late.commit();
    }
    assertThat(topic.endOffsets()).isEqualTo(Map.of(0, 5001L));

    upkeep.runOnce();

    // Its offset is the last: if its chunk went now, everything would be gone.
    assertThat(logStart(topic)).isZero();
    for (int i = 0; i < 6; i++) {
      publish(topic, 1000);
      roll();
      upkeep.runOnce();
    }
    assertThat(logStart(topic)).isGreaterThan(5000);
    assertThat(topic.read(0, logStart(topic), Topic.MAX_READ)).hasSizeGreaterThan(1500);
  }

  @Test
  void a_publisher_open_across_a_roll_and_a_drop_loses_nothing() throws SQLException {
    Topic topic = topic(TEN_MINUTES);
    try (Connection open = database.connect()) {
      open.setAutoCommit(false);
      topic.publish(open, Message.text("before the roll"));
      publish(topic, 100);
      roll();
      topic.publish(open, Message.text("after the roll"));
      publish(topic, 100);
      roll();
      anHourPasses();
      upkeep.runOnce();
      assertThat(topic.read(0, 0, Topic.MAX_READ)).hasSize(200);
      open.commit();
    }
    upkeep.runOnce();
    upkeep.runOnce();

    // It has only just come into the log, and is kept for its time, with what lies in its chunks.
    assertThat(texts(topic.read(0, 200, 10))).containsExactly("before the roll", "after the roll");
    anHourPasses();
    publish(topic, 1);
    upkeep.runOnce();
    assertThat(topic.beginningOffsets()).isEqualTo(Map.of(0, 202L));
    assertThat(topic.read(0, 202, 10)).hasSize(1);
  }

  @Test
  void a_chunk_whose_records_have_no_offsets_yet_stays() {
    Topic topic = topic(TEN_MINUTES);
    topic.publish(Message.text("nobody has looked"));
    roll();
    anHourPasses();

    assertThat(
            database.rows(
                "SELECT e.* FROM trunkline.topic t, trunkline.empty_chunk(t.id) e WHERE t.deleted_at IS NULL"))
        .isEmpty();
    upkeep.runOnce();

    assertThat(texts(topic.read(0, 0, 10))).containsExactly("nobody has looked");
  }

  @Test
  void a_rolled_back_publish_does_not_keep_its_chunk() throws SQLException {
    Topic topic = topic(TEN_MINUTES);
    try (Connection aborted = database.connect()) {
      aborted.setAutoCommit(false);
      topic.publish(aborted, Message.text("never"));
      aborted.rollback();
    }
    roll();
    anHourPasses();

    upkeep.runOnce();

    assertThat(chunks()).doesNotContain("0");
  }

  @Test
  void a_page_that_retention_drops_while_it_is_read_is_out_of_range_and_not_empty()
      throws SQLException {
    Topic topic = topic(TEN_MINUTES);
    publish(topic, 10);
    String chunk =
        database.text(
            "SELECT format('trunkline.record_%s_0', id) FROM trunkline.topic WHERE deleted_at IS NULL");
    try (Connection retention = database.connect();
        Statement statement = retention.createStatement()) {
      retention.setAutoCommit(false);
      // Segments are read, records have to wait: then both go.
      statement.execute("LOCK TABLE " + chunk + " IN ACCESS EXCLUSIVE MODE");
      CompletableFuture<List<TopicRecord>> page =
          CompletableFuture.supplyAsync(() -> topic.read(0, 0, 10));
      Awaits.until(
          () ->
              database.number(
                      "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = ?::regclass",
                      chunk)
                  > 0);
      statement.execute("TRUNCATE " + chunk);
      statement.execute("UPDATE trunkline.topic_partition SET log_start = 10");
      retention.commit();

      assertThatThrownBy(page::join).hasCauseInstanceOf(OffsetOutOfRangeException.class);
    }
  }

  @Test
  void publishers_are_not_held_up_by_a_table_that_cannot_be_dropped() throws Exception {
    Topic topic = topic(TEN_MINUTES);
    publish(topic, 10);
    roll();
    anHourPasses();
    try (Connection open = database.connect();
        Connection publisher = database.connect()) {
      open.setAutoCommit(false);
      topic.publish(open, Message.text("open"));
      try (Statement statement = publisher.createStatement()) {
        // Twenty times as long as upkeep may wait; without its timeout it would wait for ever.
        statement.execute("SET statement_timeout = '1s'");
      }
      CompletableFuture<Integer> drops =
          CompletableFuture.supplyAsync(
              () -> {
                // A new one each time: it has no back-off.
                for (int i = 0; i < 10; i++) {
                  upkeepOn(database.dataSource(), TrunklineListener.NONE).runOnce();
                }
                return 10;
              });
      int published = 0;
      while (!drops.isDone()) {
        topic.publish(publisher, Message.text("" + published++));
      }

      assertThat(drops.join()).isEqualTo(10);
      assertThat(chunks()).as("emptied all the same").doesNotContain("0");
      assertThat(tables()).isGreaterThanOrEqualTo(3);
      assertThat(topic.endOffsets()).isEqualTo(Map.of(0, 10L + published));
      open.commit();
    }
  }

  @Test
  void several_processes_keep_a_topic_while_it_is_written_and_read() throws Exception {
    Topic topic = topic(Retention.forever().withBytes(1024 * 1024));

    AtomicBoolean over = new AtomicBoolean();
    List<CompletableFuture<Void>> processes = List.of(rounds(over), rounds(over), rounds(over));
    long next = 0;
    for (int i = 0; i < 40; i++) {
      publish(topic, 200);
      try {
        for (TopicRecord record : topic.read(0, next, Topic.MAX_READ)) {
          assertThat(record.offset()).isEqualTo(next);
          next++;
        }
      } catch (OffsetOutOfRangeException e) {
        assertThat(e.first()).isGreaterThan(next);
        next = e.first();
      }
    }
    over.set(true);
    processes.forEach(CompletableFuture::join);
    upkeep.runOnce();
    List<String> numbers = chunks();
    long first = Long.parseLong(numbers.get(0));
    assertThat(first).as("some are dropped").isPositive();
    assertThat(numbers)
        .as("no gap, and one ahead")
        .isEqualTo(
            LongStream.range(first, first + numbers.size()).mapToObj(Long::toString).toList());
    assertThat(topic.read(0, logStart(topic), 10)).isNotEmpty();
  }

  private CompletableFuture<Void> rounds(AtomicBoolean over) {
    Upkeep process = upkeepOn(database.dataSource(), TrunklineListener.NONE);
    return CompletableFuture.runAsync(
        () -> {
          while (!over.get()) {
            process.runOnce();
          }
        });
  }
}
