package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a process reads of the segment that it has made last, without a look into the log. */
@PostgresTest
class ReadNearTest extends UpkeepFixture {
  private static final long UNLIMITED = Long.MAX_VALUE;
  private static final int RECORDS = 8;

  private Database own;
  private LogReader reader;
  private TopicRow row;

  @BeforeEach
  void a_log_of_two_segments() {
    own = new Database(database.dataSource());
    reader = new LogReader(own);
    Topic topic = topic(Retention.forever().withAge(Duration.ofMinutes(30)));
    row = own.run(session -> TopicStore.find(session, "orders")).orElseThrow();
    append(topic, "old");
    append(topic, "new");
  }

  private static void append(Topic topic, String text) {
    topic.publishAll(
        IntStream.range(0, RECORDS).mapToObj(i -> Message.text(text + i).withKey("k")).toList());
    topic.endOffsets();
  }

  private SegmentStore.Segment newest() {
    SegmentStore.Segment segment =
        own.run(session -> SegmentStore.fromOffset(session, row.id(), 0, RECORDS, RECORDS + 1))
            .get(0)
            .segment();
    if (segment == null) {
      throw new IllegalStateException("there is no segment");
    }
    assertThat(segment.base()).isEqualTo(RECORDS);
    return segment;
  }

  private LogReader.Page near(SegmentStore.Segment segment, long from) {
    return reader.readNear(segment, row, 0, from, 100, UNLIMITED);
  }

  /** With another time, which shows whose word was taken. */
  private static SegmentStore.Segment marked(SegmentStore.Segment segment) {
    return new SegmentStore.Segment(segment.base(), Instant.EPOCH, segment.bytes(), segment.ids());
  }

  private static boolean isMarked(LogReader.Page page) {
    return page.records().stream().allMatch(r -> r.appendedAt().equals(Instant.EPOCH));
  }

  @Test
  void it_is_what_a_look_into_the_log_finds_from_every_offset_and_within_every_bound() {
    SegmentStore.Segment newest = newest();
    for (long from = RECORDS; from < 2 * RECORDS; from++) {
      for (int most = 1; most <= RECORDS + 1; most++) {
        for (long bytes : new long[] {1, 9, UNLIMITED}) {
          LogReader.Page near = reader.readNear(newest, row, 0, from, most, bytes);
          LogReader.Page looked = reader.read(row, 0, from, most, bytes);

          assertThat(near.next()).isEqualTo(looked.next());
          assertThat(near.logEnd()).isEqualTo(looked.logEnd());
          assertThat(near.records())
              .isNotEmpty()
              .usingRecursiveComparison()
              .isEqualTo(looked.records());
          assertThat(isMarked(reader.readNear(marked(newest), row, 0, from, most, bytes))).isTrue();
        }
      }
    }
  }

  @Test
  void what_is_before_or_behind_it_is_looked_for_in_the_log() {
    assertThat(texts(near(newest(), 0).records())).startsWith("old0").hasSize(2 * RECORDS);
    assertThat(near(newest(), 2 * RECORDS).records()).isEmpty();
    assertThatThrownBy(() -> near(newest(), 2 * RECORDS + 1))
        .isInstanceOf(OffsetOutOfRangeException.class);
  }

  @Test
  void a_segment_that_the_database_has_not_or_has_otherwise_is_not_believed() {
    SegmentStore.Segment newest = newest();
    long[] swapped = newest.ids().clone();
    swapped[2] = newest.ids()[3];
    swapped[3] = newest.ids()[2];
    long[] older =
        IntStream.range(0, RECORDS).mapToLong(i -> newest.ids()[0] - RECORDS + i).toArray();
    long[] longer = IntStream.range(0, RECORDS).mapToLong(i -> newest.ids()[0] + 1 + i).toArray();
    List<SegmentStore.Segment> others =
        List.of(
            with(newest.base(), swapped),
            with(newest.base(), older),
            with(newest.base(), longer),
            with(newest.base() - 1, newest.ids()),
            with(newest.base() + 1, newest.ids()));

    for (SegmentStore.Segment other : others) {
      LogReader.Page page = near(other, RECORDS + 1);

      assertThat(texts(page.records()))
          .containsExactly("new1", "new2", "new3", "new4", "new5", "new6", "new7");
      assertThat(page.records()).extracting(TopicRecord::offset).startsWith(RECORDS + 1L);
      assertThat(isMarked(page)).isFalse();
    }
  }

  private static SegmentStore.Segment with(long base, long[] ids) {
    return new SegmentStore.Segment(base, Instant.EPOCH, 100, ids);
  }

  @Test
  void a_gap_that_compaction_has_left_is_a_gap() {
    database.execute("DELETE FROM trunkline.record WHERE id = ?", newest().ids()[3]);

    LogReader.Page page = near(newest(), RECORDS + 2);

    assertThat(texts(page.records())).containsExactly("new2", "new4", "new5", "new6", "new7");
    assertThat(page.next()).isEqualTo(2 * RECORDS);
  }

  @Test
  void what_retention_has_dropped_is_out_of_range() {
    SegmentStore.Segment newest = newest();
    roll();
    anHourPasses();
    append(trunkline.topic("orders"), "newer");
    for (int round = 0; round < 5; round++) {
      upkeep.runOnce();
    }

    assertThatThrownBy(() -> near(newest, RECORDS)).isInstanceOf(OffsetOutOfRangeException.class);
  }
}
