package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Records: storing them, and reading them by their ids. */
final class RecordStore {
  /** A statement draws one id, and has so many from it on: the sequences of topics count by it. */
  static final int BLOCK = 2048;

  private RecordStore() {}

  /**
   * Stores records. Runs on the caller's connection, too: inserts only, no setting is changed
   * there, no lock is taken that another publisher could wait for. In a transaction of ours
   * :waiting says whether the commit waits for the disk, whatever the pool says; a setting in the
   * same statement costs less than one before it.
   *
   * <p>The transaction gets its xid before its ids are drawn, whoever draws them: the sequencer
   * relies on that (see SequenceStore). The sequence counts by {@link #BLOCK}, so one number is
   * drawn for all: the ids follow it in the order of the arrays. A transaction that has published
   * before keeps its locks on the tables, and a server process that has all its locks does not
   * listen for changes of tables: it would not know of a chunk made since, and fail if ids come
   * from it already. Whatever takes a lock that it does not have makes it listen,
   * pg_relation_is_updatable for one, which keeps none.
   *
   * <p>Batches: the records of one partition follow each other, and the first of them stands for
   * all: batchEnds says up to which place, batchBytes how large they are together (0 and -1 for the
   * others). It names the others, and only it is in the index by which the sequencer finds what is
   * new; one statement stores them, so all of them are visible or none. A block of ids is within
   * one chunk, and so is a batch.
   *
   * <p>What has a fixed size is taken from its array by number, which costs less than one more
   * unnest. Absent columns come as empty arrays, of which every element is null. Answers nothing if
   * the topic was deleted; else the first of the ids, and how many partitions it has now.
   */
  private static final String PUBLISH =
      """
      WITH target AS MATERIALIZED (
        SELECT
          id,
          partitions,
          pg_current_xact_id() AS xid,
          pg_relation_is_updatable('trunkline.chunk'::regclass, false) AS chunks_are_known,
          CASE
            WHEN :waiting = 'LATER' THEN set_config('synchronous_commit', 'off', true)
            WHEN :waiting = 'AT_COMMIT' AND current_setting('synchronous_commit') = 'off'
              THEN set_config('synchronous_commit', 'on', true)
          END AS commit_is_set,
          nextval(CASE WHEN pg_current_xact_id() IS NOT NULL THEN id_sequence END) AS first_id
        FROM trunkline.topic
        WHERE id = :topicId AND deleted_at IS NULL
      ), stored AS (
        INSERT INTO trunkline.record (
          xid, topic_id, partition, id, source_at, key, type, content_type, headers, payload, followers, batch_bytes)
        SELECT
          target.xid,
          target.id,
          (:partitions::integer[])[m.number],
          target.first_id + m.number - 1,
          coalesce(
            timestamptz 'epoch' + nullif((:sourceAtsUs::bigint[])[m.number], :noTime) * interval '1 microsecond',
            now()),
          m.key,
          m.type,
          m.content_type,
          jsonb_object(m.headers::text[]),
          m.payload,
          CASE
            WHEN (:batchEnds::integer[])[m.number] > 0
              THEN ARRAY(
                SELECT generate_series(
                  target.first_id + m.number,
                  target.first_id + (:batchEnds::integer[])[m.number] - 1))
          END,
          nullif((:batchBytes::integer[])[m.number], -1)
        FROM target
        CROSS JOIN unnest(:payloads::bytea[], :keys::text[], :types::text[], :contentTypes::text[], :headers::text[])
          WITH ORDINALITY AS m(payload, key, type, content_type, headers, number)
      )
      SELECT first_id, partitions
      FROM target
      """;

  /**
   * A transaction with something in the WAL, however little: its commit waits until the disk has it
   * and all that was written before. What reads the WAL by logical decoding sees an empty message
   * of ours, if it asks for messages.
   */
  private static final String FLUSH =
      """
      SELECT pg_logical_emit_message(true, 'trunkline', '')
      """;

  /**
   * Records by their ids, which are sorted; the table is a chunk, or record itself. Of record the
   * range is for the planner: it finds the chunks that can hold them before it opens any, so the
   * cost does not grow with their number. Index: the chunk's unique one on id.
   */
  private static final String READ =
      """
      SELECT
        id,
        source_at,
        key,
        type,
        content_type,
        CASE WHEN headers IS NOT NULL THEN ARRAY(
          SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
        END AS headers,
        payload
      FROM %s
      WHERE topic_id = :topicId
        AND id = ANY (:ids::bigint[])
        AND id BETWEEN :firstId AND :lastId
      """;

  /**
   * The same for a slice of a segment, whose ids are in the order of their offsets; nothing if the
   * segment of that offset is not there, or has other ids in that place. Index: segment's primary
   * key, once; it has the order that is asked for, else another index may look as good to a planner
   * that expects one row.
   */
  private static final String READ_IF_STILL =
      READ
          + """
          AND (
            SELECT CASE WHEN segment.base_offset = :base THEN segment.ids[:from : :to] END
            FROM trunkline.segment
            WHERE segment.topic_id = :topicId AND segment.partition = :partition AND segment.base_offset >= :base
            ORDER BY segment.base_offset
            LIMIT 1) = :ids::bigint[]
        """;

  private static final String READ_ALL_CHUNKS = READ.formatted("trunkline.record");

  /** The ids of a chunk are a range of 2^40: see trunkline.add_chunk. */
  private static final int CHUNK_BITS = 40;

  /** The first id of what was stored, and how many partitions the topic had. */
  record Stored(long firstId, int partitions) {}

  /** A record as it is in the table, without its place in the log. */
  record Row(long id, Instant sourceAt, Message message) {
    /** By the places of the columns: a look for their names costs a twentieth of the read. */
    static Row of(ResultSet row) throws SQLException {
      return new Row(
          row.getLong(1),
          row.getObject(2, OffsetDateTime.class).toInstant(),
          Message.stored(
              row.getBytes(7),
              row.getString(3),
              row.getString(4),
              row.getString(5),
              StoredHeaders.of(row.getArray(6)),
              Message.LOWEST_PRIORITY));
    }
  }

  /** When a publish waits for the disk. */
  enum Waiting {
    /** At the commit, whatever the pool says. In a transaction of ours. */
    AT_COMMIT,
    /** Not before {@link #flush}. In a transaction of ours. */
    LATER,
    /** As the caller's settings say, in his transaction. */
    AS_CALLER_SAYS
  }

  /** What was committed on this connection before is on disk when this returns. */
  static void flush(Session session) {
    session.durable(FLUSH).run();
  }

  /** Answers nothing if the topic has been deleted. */
  static Optional<Stored> publish(
      Session session, int topicId, OutgoingRecords records, Waiting waiting) {
    return session
        .statement(PUBLISH)
        .bind("topicId", topicId)
        .bind("waiting", waiting.name())
        .bindArray("payloads", records.payloads())
        .bindArray("partitions", records.partitions())
        .bindArray("keys", records.keys())
        .bindArray("types", records.types())
        .bindArray("contentTypes", records.contentTypes())
        .bindArray("headers", records.headers())
        .bindArray("sourceAtsUs", records.sourceAtsUs())
        .bind("noTime", OutgoingRecords.NO_TIME)
        .bindArray("batchEnds", records.batchEnds())
        .bindArray("batchBytes", records.batchBytes())
        .list(row -> new Stored(row.getLong("first_id"), row.getInt("partitions")))
        .stream()
        .findFirst();
  }

  /**
   * Reads from whatever chunks the records are in. Planned anew each time, which takes longer than
   * to read some hundred records.
   *
   * @param ids sorted
   */
  static List<Row> read(Session session, int topicId, long[] ids) {
    return bound(session.replanned(READ_ALL_CHUNKS), topicId, ids);
  }

  /**
   * Reads from the chunks by their names, with plans that are kept. Fails like any statement if a
   * chunk has been dropped, or if only the log as a whole may be read.
   *
   * @param ids sorted
   */
  static List<Row> readByChunk(Session session, int topicId, long[] ids) {
    List<Row> rows = new ArrayList<>(ids.length);
    int from = 0;
    while (from < ids.length) {
      long chunk = ids[from] >> CHUNK_BITS;
      int to = from + 1;
      while (to < ids.length && ids[to] >> CHUNK_BITS == chunk) {
        to++;
      }
      rows.addAll(
          bound(
              session.relaxedOnce(READ.formatted(chunkTable(topicId, chunk))),
              topicId,
              Arrays.copyOfRange(ids, from, to)));
      from = to;
    }
    return rows;
  }

  /**
   * Reads a slice of a segment from its chunk, if the segment is what it was. Fails like {@link
   * #readByChunk}.
   *
   * @param base the first offset of the segment
   */
  static List<Row> readIfStill(
      Session session, int topicId, int partition, long base, SegmentStore.Segment slice) {
    long[] ids = slice.ids();
    int before = (int) (slice.base() - base);
    return session
        .relaxedOnce(READ_IF_STILL.formatted(chunkTable(topicId, ids[0] >> CHUNK_BITS)))
        .bind("topicId", topicId)
        .bindArray("ids", ids)
        .bind("firstId", Arrays.stream(ids).min().orElseThrow())
        .bind("lastId", Arrays.stream(ids).max().orElseThrow())
        .bind("partition", partition)
        .bind("base", base)
        .bind("from", before + 1)
        .bind("to", before + ids.length)
        .list(Row::of);
  }

  private static String chunkTable(int topicId, long chunk) {
    return "trunkline.record_" + topicId + "_" + chunk;
  }

  private static List<Row> bound(Session.Rows statement, int topicId, long[] ids) {
    return statement
        .bind("topicId", topicId)
        .bindArray("ids", ids)
        .bind("firstId", ids[0])
        .bind("lastId", ids[ids.length - 1])
        .list(Row::of);
  }
}
