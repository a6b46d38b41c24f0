package dev.trunkline.topic;

import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.internal.db.Database;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads what has offsets. Thread-safe. */
final class LogReader {

  private final Database database;
  private final RecordReader records;

  LogReader(Database database) {
    this.database = database;
    this.records = new RecordReader(database);
  }

  /**
   * Some records in the order of their offsets.
   *
   * @param records those that are still there: compaction leaves gaps
   * @param next the offset to go on from; the one that was asked for if there is nothing yet
   * @param logEnd the offset that the next record will have
   */
  record Page(List<TopicRecord> records, long next, long logEnd) {}

  /**
   * Reads from an offset on.
   *
   * @param maxRecords bound on the records
   * @param maxBytes bound on their payloads, taking those of a segment for equally large; one
   *     record at least
   * @throws OffsetOutOfRangeException if the offset is before the log's start or beyond its end
   */
  Page read(TopicRow topic, int partition, long fromOffset, int maxRecords, long maxBytes) {
    List<SegmentStore.Found> found =
        database.run(
            session ->
                SegmentStore.fromOffset(
                    session, topic.id(), partition, fromOffset, fromOffset + maxRecords));
    if (found.isEmpty()) {
      throw new TopicNotFoundException(topic.name());
    }
    long logStart = found.get(0).logStart();
    long logEnd = found.get(0).logEnd();
    if (fromOffset < logStart || fromOffset > logEnd) {
      throw new OffsetOutOfRangeException(topic.name(), partition, fromOffset, logStart, logEnd);
    }
    List<SegmentStore.Segment> slices = slices(found, fromOffset, maxRecords, maxBytes);
    if (slices.isEmpty()) {
      return new Page(List.of(), fromOffset, logEnd);
    }
    long next = slices.get(slices.size() - 1).end();
    List<TopicRecord> read = records(topic, partition, slices);
    if (read.size() < next - fromOffset) {
      refuseDropped(topic, partition, fromOffset, logEnd);
    }
    return new Page(read, next, logEnd);
  }

  /**
   * The same, by a process that has made the newest segment: what most readers want next. It is
   * read at once if it begins where they are and is still what the database has under these
   * offsets; a restore or a promoted standby may have changed that.
   */
  Page readNear(
      SegmentStore.Segment newest,
      TopicRow topic,
      int partition,
      long fromOffset,
      int maxRecords,
      long maxBytes) {
    if (fromOffset >= newest.base() && fromOffset < newest.end()) {
      SegmentStore.Segment slice =
          slices(
                  List.of(new SegmentStore.Found(newest.base(), newest.end(), newest)),
                  fromOffset,
                  maxRecords,
                  maxBytes)
              .get(0);
      List<RecordStore.Row> rows = records.readIfStill(topic, partition, newest.base(), slice);
      // Otherwise something is not as it was, or compaction has left gaps.
      if (rows.size() == slice.ids().length) {
        return new Page(inOrder(topic, partition, List.of(slice), rows), slice.end(), newest.end());
      }
    }
    return read(topic, partition, fromOffset, maxRecords, maxBytes);
  }

  /**
   * What is missing was removed by compaction, unless retention has dropped it since the segments
   * were read: that must not look like the former. The log's start moves with the drop.
   */
  private void refuseDropped(TopicRow topic, int partition, long fromOffset, long logEnd) {
    long logStart = database.run(session -> SegmentStore.logStart(session, topic.id(), partition));
    if (fromOffset < logStart) {
      throw new OffsetOutOfRangeException(topic.name(), partition, fromOffset, logStart, logEnd);
    }
  }

  private static List<SegmentStore.Segment> slices(
      List<SegmentStore.Found> found, long fromOffset, int maxRecords, long maxBytes) {
    List<SegmentStore.Segment> slices = new ArrayList<>();
    int records = 0;
    long bytes = 0;
    long expected = fromOffset;
    for (SegmentStore.Found row : found) {
      SegmentStore.Segment segment = row.segment();
      if (segment == null || segment.end() <= fromOffset) {
        continue;
      }
      // A gap: what was there was dropped while we looked. The next read says so.
      if (segment.base() > expected && !slices.isEmpty()) {
        break;
      }
      int from = (int) Math.max(0, fromOffset - segment.base());
      int to = Math.min(segment.ids().length, from + maxRecords - records);
      long mean = Math.max(1, segment.bytes() / segment.ids().length);
      to = (int) Math.min(to, from + (maxBytes - bytes) / mean);
      if (slices.isEmpty()) {
        to = Math.max(to, from + 1);
      }
      if (to <= from) {
        break;
      }
      long size = mean * (to - from);
      slices.add(
          new SegmentStore.Segment(
              segment.base() + from,
              segment.appendedAt(),
              (int) size,
              Arrays.copyOfRange(segment.ids(), from, to)));
      records += to - from;
      bytes += size;
      expected = segment.base() + to;
    }
    return slices;
  }

  private List<TopicRecord> records(
      TopicRow topic, int partition, List<SegmentStore.Segment> slices) {
    long[] ids = slices.stream().flatMapToLong(slice -> Arrays.stream(slice.ids())).toArray();
    // Across segments ids are in no order: a late committer has lower ones than those before it.
    Arrays.sort(ids);
    return inOrder(topic, partition, slices, records.read(topic, ids));
  }

  private static List<TopicRecord> inOrder(
      TopicRow topic,
      int partition,
      List<SegmentStore.Segment> slices,
      List<RecordStore.Row> rows) {
    Map<Long, RecordStore.Row> byId = new HashMap<>(2 * rows.size());
    rows.forEach(row -> byId.put(row.id(), row));
    List<TopicRecord> inOrder = new ArrayList<>(rows.size());
    for (SegmentStore.Segment slice : slices) {
      for (int i = 0; i < slice.ids().length; i++) {
        RecordStore.Row row = byId.get(slice.ids()[i]);
        if (row != null) {
          inOrder.add(
              new TopicRecord(
                  topic.name(),
                  partition,
                  slice.base() + i,
                  new RecordId(partition, row.id()),
                  row.message(),
                  row.sourceAt(),
                  slice.appendedAt()));
        }
      }
    }
    return inOrder;
  }
}
