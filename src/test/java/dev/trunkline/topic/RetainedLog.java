package dev.trunkline.topic;

import dev.trunkline.support.TestDatabase;

/** A log of any age, filled at once past the library. */
final class RetainedLog {
  private static final int SEGMENT = 200;

  private final TestDatabase database;
  private final int topicId;
  private int chunk;

  RetainedLog(TestDatabase database, int topicId) {
    this.database = database;
    this.topicId = topicId;
  }

  /** Records with offsets in partition 0, as if they had been published and sequenced. */
  void retain(int count) {
    long first = database.number("SELECT nextval('trunkline.record_%d_id_seq')".formatted(topicId));
    database.execute(
        """
        INSERT INTO trunkline.record (xid, topic_id, partition, id, key, payload)
        SELECT (100 + n / 20)::text::xid8, %1$d, 0, %2$d + n, 'k' || n, decode(repeat('61', 20), 'hex')
        FROM generate_series(0, %3$d - 1) AS n;
        INSERT INTO trunkline.segment (topic_id, partition, base_offset, appended_at, bytes, chunk, ids)
        SELECT %1$d, 0, %4$d + n * %5$d, clock_timestamp(), 4000, %6$d,
          ARRAY(SELECT generate_series(%2$d + n * %5$d, %2$d + (n + 1) * %5$d - 1))
        FROM generate_series(0, %3$d / %5$d - 1) AS n;
        SELECT setval('trunkline.record_%1$d_id_seq', %2$d + %3$d - 1);
        INSERT INTO trunkline.sequencing (
          topic_id, snapshot, floor_id, next_floor_xid, next_floor_id, cluster, sequenced_at)
        SELECT %1$d, pg_current_snapshot(), %2$d + %3$d - 1, pg_current_xact_id(), %2$d + %3$d - 1,
          system_identifier, clock_timestamp()
        FROM pg_control_system()
        """
            .formatted(topicId, first, count, end(), SEGMENT, chunk));
  }

  /** The next records go into the next chunk. */
  void nextChunk() {
    database.execute("SELECT trunkline.add_chunk(%d)".formatted(topicId));
    database.execute("SELECT trunkline.close_chunk(%d, %d)".formatted(topicId, chunk));
    chunk++;
  }

  int chunk() {
    return chunk;
  }

  /** The end of partition 0. */
  long end() {
    return database.number(
        """
        SELECT coalesce(max(base_offset + cardinality(ids)), 0)
        FROM trunkline.segment
        WHERE topic_id = ? AND partition = 0
        """,
        topicId);
  }
}
