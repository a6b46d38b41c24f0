package dev.trunkline.topic;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.SqlStates;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads what has offsets. Thread-safe. */
final class LogReader {
  private static final Logger LOG = LoggerFactory.getLogger(LogReader.class);

  private final Database database;

  /** Whether chunks may be read by themselves: not if only the log as a whole was granted. */
  private volatile boolean byChunk = true;

  LogReader(Database database) {
    this.database = database;
  }

  /** Where to read, and how much. */
  private record Wanted(
      TopicRow topic, int partition, long fromOffset, int maxRecords, long maxBytes) {}

  /** How records are read by their ids. */
  @FunctionalInterface
  private interface Records {
    List<RecordStore.Row> read(Session session, int topicId, long[] ids);
  }

  /**
   * Some records in the order of their offsets.
   *
   * @param records those that are still there: compaction leaves gaps
   * @param next the offset to go on from; the one that was asked for if there is nothing yet
   * @param logStart the first offset that is there
   * @param logEnd the offset that the next record will have
   */
  record Page(List<TopicRecord> records, long next, long logStart, long logEnd) {}

  /**
   * Reads from an offset on.
   *
   * @param maxRecords bound on the records
   * @param maxBytes bound on their payloads, taking those of a segment for equally large; one
   *     record at least
   * @throws OffsetOutOfRangeException if the offset is before the log's start or beyond its end
   */
  Page read(TopicRow topic, int partition, long fromOffset, int maxRecords, long maxBytes) {
    Wanted wanted = new Wanted(topic, partition, fromOffset, maxRecords, maxBytes);
    if (byChunk) {
      try {
        return read(wanted, RecordStore::readByChunk);
      } catch (DatabaseException e) {
        if (SqlStates.isNotAllowed(e)) {
          byChunk = false;
          LOG.info(
              "the tables of {} may not be read by themselves, which is slower: {}",
              topic.name(),
              e.getMessage());
        } else if (!SqlStates.isUnknownTable(e)) {
          throw e;
        }
      }
    }
    return read(wanted, RecordStore::read);
  }

  private Page read(Wanted wanted, Records records) {
    TopicRow topic = wanted.topic();
    int partition = wanted.partition();
    long fromOffset = wanted.fromOffset();
    return database.run(
        session -> {
          List<SegmentStore.Found> found =
              SegmentStore.fromOffset(
                  session, topic.id(), partition, fromOffset, fromOffset + wanted.maxRecords());
          if (found.isEmpty()) {
            throw new TopicNotFoundException(topic.name());
          }
          long logStart = found.get(0).logStart();
          long logEnd = found.get(0).logEnd();
          if (fromOffset < logStart || fromOffset > logEnd) {
            throw new OffsetOutOfRangeException(
                topic.name(), partition, fromOffset, logStart, logEnd);
          }
          List<SegmentStore.Segment> slices =
              slices(found, fromOffset, wanted.maxRecords(), wanted.maxBytes());
          if (slices.isEmpty()) {
            return new Page(List.of(), fromOffset, logStart, logEnd);
          }
          long next = slices.get(slices.size() - 1).end();
          List<TopicRecord> read = records(session, wanted, slices, records);
          if (read.size() < next - fromOffset) {
            refuseDropped(session, topic, partition, fromOffset, logEnd);
          }
          return new Page(read, next, logStart, logEnd);
        });
  }

  /**
   * What is missing was removed by compaction, unless retention has dropped it since the segments
   * were read: that must not look like the former. The log's start moves with the drop.
   */
  private static void refuseDropped(
      Session session, TopicRow topic, int partition, long fromOffset, long logEnd) {
    long logStart = SegmentStore.logStart(session, topic.id(), partition);
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

  private static List<TopicRecord> records(
      Session session, Wanted wanted, List<SegmentStore.Segment> slices, Records stored) {
    String topic = wanted.topic().name();
    int partition = wanted.partition();
    long[] ids = slices.stream().flatMapToLong(slice -> Arrays.stream(slice.ids())).toArray();
    // Across segments ids are in no order: a late committer has lower ones than those before it.
    long[] sorted = ids.clone();
    Arrays.sort(sorted);
    List<RecordStore.Row> rows = stored.read(session, wanted.topic().id(), sorted);
    RecordStore.Row[] byId = new RecordStore.Row[sorted.length];
    for (RecordStore.Row row : rows) {
      byId[Arrays.binarySearch(sorted, row.id())] = row;
    }
    List<TopicRecord> records = new ArrayList<>(rows.size());
    for (SegmentStore.Segment slice : slices) {
      for (int i = 0; i < slice.ids().length; i++) {
        RecordStore.Row row = byId[Arrays.binarySearch(sorted, slice.ids()[i])];
        if (row != null) {
          records.add(
              new TopicRecord(
                  topic,
                  partition,
                  slice.base() + i,
                  new RecordId(partition, row.id()),
                  row.message(),
                  row.sourceAt(),
                  slice.appendedAt()));
        }
      }
    }
    return records;
  }
}
