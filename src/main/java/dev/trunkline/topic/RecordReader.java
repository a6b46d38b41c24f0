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
