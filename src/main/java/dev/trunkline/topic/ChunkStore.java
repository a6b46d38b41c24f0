package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Statements on {@code trunkline.chunk} and the tables it speaks of. What locks tables is done by
 * the functions of {@code R__topic_storage.sql}: see there.
 */
final class ChunkStore {
  private ChunkStore() {}

  /**
   * All topics with the state of their chunks: the one that ids come from now, the newest, and
   * whether there is something to be emptied or dropped. A few rows per topic, and the sizes of its
   * files.
   */
  private static final String OVERVIEW =
      """
      SELECT
        t.id,
        t.name,
        t.partitions,
        t.max_payload_bytes,
        (extract(epoch FROM t.retention_age) * 1000)::bigint AS retention_age_ms,
        t.retention_bytes,
        t.slow_groups,
        t.slow_groups_cap_bytes,
        (extract(epoch FROM t.compaction_lag) * 1000)::bigint AS compaction_lag_ms,
        (extract(epoch FROM t.tombstone_retention) * 1000)::bigint AS tombstone_retention_ms,
        (extract(epoch FROM t.chunk_age) * 1000)::bigint AS chunk_age_ms,
        t.chunk_bytes,
        seq.last_id,
        c.newest,
        (extract(epoch FROM clock_timestamp() - c.opened_at) * 1000)::bigint AS open_for_ms,
        coalesce(trunkline.chunk_bytes(t.id, (seq.last_id >> 40)::integer), 0) AS bytes,
        c.unclosed,
        c.emptied,
        trunkline.is_past_retention(t.id, c.oldest) AS is_past_retention
      FROM trunkline.topic t
      CROSS JOIN LATERAL (SELECT coalesce(pg_sequence_last_value(t.id_sequence), 0) AS last_id) seq
      CROSS JOIN LATERAL (
        SELECT
          max(number) AS newest,
          min(number) FILTER (WHERE emptied_at IS NULL) AS oldest,
          min(number) FILTER (WHERE closed_at IS NULL AND number < seq.last_id >> 40) AS unclosed,
          coalesce(array_agg(number ORDER BY number) FILTER (WHERE emptied_at IS NOT NULL), '{}') AS emptied,
          max(opened_at) FILTER (WHERE number = seq.last_id >> 40) AS opened_at
        FROM trunkline.chunk
        WHERE topic_id = t.id) c
      WHERE t.deleted_at IS NULL AND t.id_sequence IS NOT NULL
      ORDER BY t.id
      """;

  private static final String ADD =
      """
      SELECT trunkline.add_chunk(:topicId)
      """;

  private static final String CLOSE =
      """
      SELECT trunkline.close_chunk(:topicId, :number)
      """;

  private static final String EMPTY =
      """
      SELECT emptied, group_name, partition, from_offset, to_offset
      FROM trunkline.empty_chunk(:topicId)
      """;

  private static final String DROP =
      """
      SELECT trunkline.drop_chunk(:topicId)
      """;

  /**
   * Segments of an emptied chunk that lie before the log's start: nobody can come to them. So many
   * at a time, from where the last ones were on, so that what died before is not walked again.
   * Index: segment_chunk_idx. Answers the last one, or nothing.
   */
  private static final String FORGET_SEGMENTS =
      """
      WITH unreachable AS MATERIALIZED (
        SELECT s.ctid, s.partition, s.base_offset
        FROM trunkline.segment s
        WHERE s.topic_id = :topicId
          AND s.chunk = :chunk
          AND (s.partition, s.base_offset) > (:partition, :offset)
          AND s.base_offset < (
            SELECT p.log_start
            FROM trunkline.topic_partition p
            WHERE p.topic_id = :topicId AND p.partition = s.partition)
        ORDER BY s.partition, s.base_offset
        LIMIT 5000
        FOR UPDATE SKIP LOCKED
      ), gone AS (
        DELETE FROM trunkline.segment
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM unreachable))
      )
      SELECT partition, base_offset
      FROM unreachable
      ORDER BY partition DESC, base_offset DESC
      LIMIT 1
      """;

  /**
   * How the chunks of a topic stand.
   *
   * @param lastId the last id that was handed out
   * @param newest the number of the newest chunk
   * @param openFor since when ids come from the current one
   * @param bytes of the current one
   * @param unclosed a chunk that the sequence has left and that does not know it yet, or null
   * @param emptied the numbers of those whose tables are to be dropped, sorted
   * @param isPastRetention whether the oldest chunk may be emptied
   */
  record Overview(
      TopicRow topic,
      long lastId,
      int newest,
      Duration openFor,
      long bytes,
      @Nullable Integer unclosed,
      List<Integer> emptied,
      boolean isPastRetention) {

    static Overview of(ResultSet row) throws SQLException {
      int number = row.getInt("unclosed");
      Integer unclosed = row.wasNull() ? null : number;
      return new Overview(
          TopicRow.of(row),
          row.getLong("last_id"),
          row.getInt("newest"),
          Duration.ofMillis(row.getLong("open_for_ms")),
          row.getLong("bytes"),
          unclosed,
          List.of((Integer[]) row.getArray("emptied").getArray()),
          row.getBoolean("is_past_retention"));
    }

    /** The number of the chunk that ids come from. */
    int current() {
      return (int) (lastId >> 40);
    }

    /** Whether any id of the current chunk has been handed out. */
    boolean isInUse() {
      return lastId > (long) current() << 40;
    }
  }

  /** What a group has lost to a chunk that was emptied. */
  record Loss(String group, int partition, long from, long to) {}

  /** A segment of a chunk, as a place to go on from. */
  record Place(int partition, long offset) {
    static final Place BEGINNING = new Place(-1, -1);
  }

  static List<Overview> overview(Session session) {
    return session.statement(OVERVIEW).list(Overview::of);
  }

  static void add(Session session, int topicId) {
    session.statement(ADD).bind("topicId", topicId).run();
  }

  /** Answers whether it was done: not if another process was faster. */
  static boolean close(Session session, int topicId, int number) {
    return session
        .statement(CLOSE)
        .bind("topicId", topicId)
        .bind("number", number)
        .list(row -> row.getBoolean(1))
        .get(0);
  }

  /** Answers what groups have lost by it, if a chunk was emptied. */
  static Optional<List<Loss>> empty(Session session, int topicId) {
    List<Loss> rows =
        session
            .durable(EMPTY)
            .bind("topicId", topicId)
            .list(
                row ->
                    new Loss(
                        row.getString("group_name") == null ? "" : row.getString("group_name"),
                        row.getInt("partition"),
                        row.getLong("from_offset"),
                        row.getLong("to_offset")));
    return rows.isEmpty()
        ? Optional.empty()
        : Optional.of(rows.stream().filter(loss -> !loss.group().isEmpty()).toList());
  }

  static boolean drop(Session session, int topicId) {
    return session.statement(DROP).bind("topicId", topicId).list(row -> row.getBoolean(1)).get(0);
  }

  /** Answers where to go on; the same place if there was nothing. */
  static Place forgetSegments(Session session, int topicId, int chunk, Place after) {
    return session
        .relaxed(FORGET_SEGMENTS)
        .bind("topicId", topicId)
        .bind("chunk", chunk)
        .bind("partition", after.partition())
        .bind("offset", after.offset())
        .list(row -> new Place(row.getInt(1), row.getLong(2)))
        .stream()
        .findFirst()
        .orElse(after);
  }
}
