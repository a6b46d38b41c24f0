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

/** Records: storing them, and reading them by their ids. */
final class RecordStore {
  private RecordStore() {}

  /**
   * Stores records. Runs on the caller's connection, too: inserts only, no setting is changed, no
   * lock is taken that another publisher could wait for.
   *
   * <p>The transaction gets its xid before the first id is drawn, whoever draws it: the sequencer
   * relies on that (see SequenceStore). Ids are handed out in the order of the arrays, so sorted
   * ids are the messages' order. A transaction that has published before keeps its locks on the
   * tables, and a server process that has all its locks does not listen for changes of tables: it
   * would not know of a chunk made since, and fail if ids come from it already. Whatever takes a
   * lock that it does not have makes it listen, pg_relation_is_updatable for one, which keeps none.
   * Absent columns come as empty arrays, which unnest fills with nulls. Answers nothing if the
   * topic was deleted; else also how many partitions it has now.
   */
  private static final String PUBLISH =
      """
      WITH target AS MATERIALIZED (
        SELECT
          id,
          id_sequence,
          partitions,
          pg_current_xact_id() AS xid,
          pg_relation_is_updatable('trunkline.chunk'::regclass, false) AS chunks_are_known
        FROM trunkline.topic
        WHERE id = :topicId AND deleted_at IS NULL
      ), stored AS (
        INSERT INTO trunkline.record (
          xid, topic_id, partition, id, source_at, key, type, content_type, headers, payload)
        SELECT
          target.xid,
          target.id,
          m.partition,
          nextval(target.id_sequence),
          coalesce(timestamptz 'epoch' + m.source_at_us * interval '1 microsecond', now()),
          m.key,
          m.type,
          m.content_type,
          jsonb_object(m.headers::text[]),
          m.payload
        FROM target
        CROSS JOIN unnest(
          :payloads::bytea[], :partitions::integer[], :keys::text[], :types::text[], :contentTypes::text[],
          :headers::text[], :sourceAtsUs::bigint[])
          AS m(payload, partition, key, type, content_type, headers, source_at_us)
        RETURNING id, partition
      )
      SELECT stored.id, stored.partition, target.partitions
      FROM stored
      CROSS JOIN target
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

  private static final String READ_ALL_CHUNKS = READ.formatted("trunkline.record");

  /** The ids of a chunk are a range of 2^40: see trunkline.add_chunk. */
  private static final int CHUNK_BITS = 40;

  /** A stored record, and how many partitions the topic had. */
  record Stored(RecordId id, int partitions) {}

  /** A record as it is in the table, without its place in the log. */
  record Row(long id, Instant sourceAt, Message message) {
    static Row of(ResultSet row) throws SQLException {
      return new Row(
          row.getLong("id"),
          row.getObject("source_at", OffsetDateTime.class).toInstant(),
          Message.stored(
              row.getBytes("payload"),
              row.getString("key"),
              row.getString("type"),
              row.getString("content_type"),
              StoredHeaders.of(row.getArray("headers")),
              Message.LOWEST_PRIORITY));
    }
  }

  static List<Stored> publish(Session session, int topicId, OutgoingRecords records) {
    return session
        .durable(PUBLISH)
        .bind("topicId", topicId)
        .bindArray("payloads", records.payloads())
        .bindArray("partitions", records.partitions())
        .bindArray("keys", records.keys())
        .bindArray("types", records.types())
        .bindArray("contentTypes", records.contentTypes())
        .bindArray("headers", records.headers())
        .bindArray("sourceAtsUs", records.sourceAtsUs())
        .list(row -> new Stored(new RecordId(row.getInt(2), row.getLong(1)), row.getInt(3)));
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
      String table = "trunkline.record_" + topicId + "_" + chunk;
      rows.addAll(
          bound(
              session.relaxedOnce(READ.formatted(table)),
              topicId,
              Arrays.copyOfRange(ids, from, to)));
      from = to;
    }
    return rows;
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
