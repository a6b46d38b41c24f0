package dev.trunkline.topic;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.SqlStates;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads records by their ids: from the tables of their chunks, with plans that are kept, or where
 * only the log as a whole may be read, through that. Thread-safe.
 */
final class RecordReader {
  private static final Logger LOG = LoggerFactory.getLogger(RecordReader.class);

  private final Database database;

  /** Whether chunks may be read by themselves: not if only the log as a whole was granted. */
  private volatile boolean byChunk = true;

  RecordReader(Database database) {
    this.database = database;
  }

  /**
   * Those of a slice of a segment, in no order; fewer, perhaps none, if the database does not have
   * them under these offsets any more, or if only the log as a whole may be read.
   *
   * @param base the first offset of the segment
   */
  List<RecordStore.Row> readIfStill(
      TopicRow topic, int partition, long base, SegmentStore.Segment slice) {
    if (!byChunk) {
      return List.of();
    }
    try {
      return database.run(
          session -> RecordStore.readIfStill(session, topic.id(), partition, base, slice));
    } catch (DatabaseException e) {
      if (SqlStates.isNotAllowed(e) || SqlStates.isUnknownTable(e)) {
        return List.of();
      }
      throw e;
    }
  }

  /**
   * Those that are still there, in no order.
   *
   * @param ids sorted, one at least
   */
  List<RecordStore.Row> read(TopicRow topic, long[] ids) {
    if (byChunk) {
      try {
        return database.run(session -> RecordStore.readByChunk(session, topic.id(), ids));
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
        // A chunk has been dropped: what the others have is there still.
      }
    }
    return database.run(session -> RecordStore.read(session, topic.id(), ids));
  }
}
