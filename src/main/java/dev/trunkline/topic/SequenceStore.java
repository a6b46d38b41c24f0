package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sequencing: which records have been committed since the last step, and their offsets. */
final class SequenceStore {
  private SequenceStore() {}

  /** Half of the key of the advisory lock; the other half is the topic. "TrLn" in ASCII. */
  private static final int LOCK = 0x54724c6e;

  /**
   * Gives offsets to the records that are visible now and were not at the last step.
   *
   * <p>Two statements, one transaction. The first takes the topic's lock if it is free, and reads
   * how far ids have been handed out; the second, whose snapshot is therefore newer than the last
   * holder's commit, does the work.
   *
   * <p>What is new: a transaction is either not older than the last snapshot's xmax, or was in
   * progress in it; of the latter only those that have ended since are looked up, so one that stays
   * open costs nothing. Both are ranges of xids, the latter of one; nothing of an xmax itself is
   * visible. That a row is visible needs no further test: this statement sees what its own snapshot
   * sees, aborted transactions and savepoints left out.
   *
   * <p>INVARIANT: the snapshot is taken before this transaction has an xid of its own, hence an
   * advisory lock and not a row lock. So the snapshot's xmax is not above the xid under which it is
   * written; no xid below it can be handed out again after a crash, which would make a later record
   * look older than the snapshot.
   *
   * <p>The floor: all ids of a transaction are drawn after its xid was assigned, each number for a
   * block of them from it on. The step's own xid is assigned after :last_id was read. So when
   * everything up to that xid has ended, whoever still has to commit draws ids above that last_id,
   * and no look needs to go below it: chunks under the floor are not touched. :floorId is what the
   * caller knows of it, to leave out chunks before they are opened; a caller that knows of a higher
   * one than there is, since the database was restored under it, does nothing. The plan is made
   * once: making it takes several times as long as the step.
   *
   * <p>At another isolation than READ COMMITTED the second statement would see less than the last
   * holder's commit and give the same records offsets twice: setting the level fails then. No
   * statement_timeout applies: a step cannot be cut in two, so one that takes too long because of a
   * huge transaction would fail for ever.
   *
   * <p>Only records that stand for a batch are looked for; they name the others of it, whose sizes
   * are taken for equal. The order is that of the batches' first ids, and their own inside them: of
   * what was published after something else had been committed all ids are higher. Segments are cut
   * of one partition and one chunk, at most 200 ids and about 1 MiB each, in which pieces of at
   * most 50 ids stay whole: placing these costs less than placing each id. Indexes: the chunk's on
   * xid, which is why records are asked for in its order (the one on id would read all since the
   * floor, which stands while a transaction is open); segment's and sequencing's primary keys, from
   * the end. Answers nothing if the topic has been deleted.
   */
  private static final String SEQUENCE =
      """
      SELECT
        set_config('transaction_isolation', 'read committed', true),
        set_config('statement_timeout', '0', true),
        set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), true),
        set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true),
        set_config('enable_sort', 'off', true),
        set_config('plan_cache_mode', 'force_generic_plan', true),
        set_config('jit', 'off', true),
        set_config('trunkline.last_id', coalesce(pg_sequence_last_value(id_sequence), 0)::text, true),
        set_config('trunkline.sequencer', pg_try_advisory_xact_lock(:lock, id)::text, true)
      FROM trunkline.topic
      WHERE id = :topicId AND deleted_at IS NULL;

      WITH last AS MATERIALIZED (
        SELECT
          snapshot,
          pg_snapshot_xmax(snapshot) AS xmax,
          floor_id,
          next_floor_xid,
          next_floor_id,
          sequenced_at,
          next_floor_xid < pg_snapshot_xmin(pg_current_snapshot()) AS floor_rises,
          cluster,
          cluster <> (SELECT system_identifier FROM pg_control_system())
            OR pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS is_foreign
        FROM trunkline.sequencing
        WHERE topic_id = :topicId
        ORDER BY id DESC
        LIMIT 1
      ), mine AS MATERIALIZED (
        SELECT *
        FROM last
        WHERE NOT is_foreign AND floor_id >= :floorId AND current_setting('trunkline.sequencer', true) = 'true'
      ), ended AS (
        SELECT xmax AS from_xid, pg_snapshot_xmax(pg_current_snapshot()) AS to_xid
        FROM mine
        UNION ALL
        SELECT late.xid, late.xid
        FROM (
          SELECT pg_snapshot_xip(snapshot) FROM mine
          EXCEPT
          SELECT pg_snapshot_xip(pg_current_snapshot())) AS late(xid)
      ), fresh AS MATERIALIZED (
        SELECT found.*
        FROM ended
        CROSS JOIN LATERAL (
          SELECT id, partition, id || followers AS ids, coalesce(batch_bytes, octet_length(payload), 0) AS bytes
          FROM trunkline.record
          WHERE topic_id = :topicId
            AND followers IS NOT NULL
            AND id > :floorId
            AND id > (SELECT floor_id FROM mine)
            AND xid >= ended.from_xid
            AND xid <= ended.to_xid
          ORDER BY xid
          OFFSET 0) AS found
      ), piece AS (
        SELECT
          fresh.id,
          fresh.partition,
          number,
          fresh.ids[number * 50 + 1 : number * 50 + 50] AS ids,
          (fresh.bytes::bigint * least(50, cardinality(fresh.ids) - number * 50) / cardinality(fresh.ids))::integer
            AS bytes
        FROM fresh
        CROSS JOIN LATERAL generate_series(0, (cardinality(fresh.ids) - 1) / 50) AS number
      ), placed AS (
        SELECT
          id,
          partition,
          number,
          ids,
          bytes,
          sum(cardinality(ids)) OVER in_order - cardinality(ids) AS position,
          sum(bytes) OVER in_order >> 20 AS mebibytes
        FROM piece
        WINDOW in_order AS (PARTITION BY partition ORDER BY id, number ROWS UNBOUNDED PRECEDING)
      ), cut AS (
        SELECT
          partition,
          (id >> 40)::integer AS chunk,
          min(position) AS position,
          least(sum(bytes), 2147483647)::integer AS bytes,
          trunkline.concatenated(ids ORDER BY id, number) AS ids
        FROM placed
        GROUP BY partition, id >> 40, position / 150, mebibytes
      ), written AS (
        INSERT INTO trunkline.segment (topic_id, partition, base_offset, appended_at, bytes, chunk, ids)
        SELECT
          :topicId,
          cut.partition,
          coalesce((
            SELECT newest.base_offset + cardinality(newest.ids)
            FROM trunkline.segment newest
            WHERE newest.topic_id = :topicId AND newest.partition = cut.partition
            ORDER BY newest.base_offset DESC
            LIMIT 1), (
            SELECT log_start
            FROM trunkline.topic_partition
            WHERE topic_partition.topic_id = :topicId AND topic_partition.partition = cut.partition), 0)
            + cut.position,
          greatest(clock_timestamp(), mine.sequenced_at),
          cut.bytes,
          cut.chunk,
          cut.ids
        FROM cut
        CROSS JOIN mine
        RETURNING partition, base_offset, appended_at, bytes, ids
      ), remembered AS (
        INSERT INTO trunkline.sequencing (
          topic_id, snapshot, floor_id, next_floor_xid, next_floor_id, cluster, sequenced_at)
        SELECT
          :topicId,
          pg_current_snapshot(),
          CASE WHEN floor_rises THEN next_floor_id ELSE floor_id END,
          CASE WHEN floor_rises THEN pg_current_xact_id() ELSE next_floor_xid END,
          CASE WHEN floor_rises THEN current_setting('trunkline.last_id')::bigint ELSE next_floor_id END,
          cluster,
          greatest(clock_timestamp(), sequenced_at, (SELECT max(appended_at) FROM written))
        FROM mine
        WHERE EXISTS (SELECT 1 FROM fresh)
          OR (xmax < pg_snapshot_xmax(pg_current_snapshot()) AND sequenced_at < clock_timestamp() - interval '1 second')
      )
      SELECT
        p.partition,
        p.log_start,
        coalesce(newest.base_offset + cardinality(newest.ids), (
          SELECT s.base_offset + cardinality(s.ids)
          FROM trunkline.segment s
          WHERE s.topic_id = :topicId AND s.partition = p.partition
          ORDER BY s.base_offset DESC
          LIMIT 1), p.log_start) AS log_end,
        coalesce((SELECT sum(cardinality(ids)) FROM written), 0) AS sequenced,
        EXISTS (SELECT 1 FROM mine) AS is_mine,
        coalesce((SELECT is_foreign FROM last), false) AS is_foreign,
        coalesce((SELECT floor_id FROM last), 0) AS floor_id,
        newest.*
      FROM trunkline.topic_partition p
      LEFT JOIN LATERAL (
        SELECT base_offset, appended_at, bytes, ids
        FROM written
        WHERE written.partition = p.partition
        ORDER BY base_offset DESC
        LIMIT 1) newest ON true
      WHERE p.topic_id = :topicId
        AND EXISTS (SELECT 1 FROM trunkline.topic WHERE id = :topicId AND deleted_at IS NULL)
      ORDER BY p.partition
      """;

  /** Makes a log go on that was restored from a dump: see the function. */
  private static final String REBASE =
      """
      SELECT trunkline.rebase_topic(:topicId)
      """;

  /** The lock of a topic, waited for, until the end of the transaction. */
  private static final String LOCK_TOPIC =
      """
      SELECT pg_advisory_xact_lock(:lock, :topicId)
      """;

  /** Whether the last step was taken in another cluster, or is ahead of this one. */
  private static final String IS_FOREIGN =
      """
      SELECT
        cluster <> (SELECT system_identifier FROM pg_control_system())
          OR pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS is_foreign
      FROM trunkline.sequencing
      WHERE topic_id = :topicId
      ORDER BY id DESC
      LIMIT 1
      """;

  /**
   * Steps that a newer one has replaced, from a given one on: what died before is not walked again.
   * The newest stays. Locked rows are left out: another process is at it. Answers the last one
   * deleted, or 0.
   */
  private static final String PRUNE =
      """
      WITH replaced AS MATERIALIZED (
        SELECT old.id
        FROM trunkline.sequencing old
        WHERE old.topic_id = :topicId
          AND old.id > :afterId
          AND old.id < (SELECT max(newest.id) FROM trunkline.sequencing newest WHERE newest.topic_id = :topicId)
        ORDER BY old.id
        LIMIT 10000
        FOR UPDATE SKIP LOCKED
      ), gone AS (
        DELETE FROM trunkline.sequencing
        WHERE topic_id = :topicId AND id = ANY (ARRAY(SELECT id FROM replaced))
      )
      SELECT coalesce(max(id), 0) FROM replaced
      """;

  /**
   * The bounds of one partition as a step found them, and what the step did.
   *
   * @param newest the last segment that the step has made there
   */
  record Found(
      int partition,
      long logStart,
      long logEnd,
      long sequenced,
      boolean isMine,
      boolean isForeign,
      long floorId,
      SegmentStore.@Nullable Segment newest) {

    static Found of(ResultSet row) throws SQLException {
      return new Found(
          row.getInt("partition"),
          row.getLong("log_start"),
          row.getLong("log_end"),
          row.getLong("sequenced"),
          row.getBoolean("is_mine"),
          row.getBoolean("is_foreign"),
          row.getLong("floor_id"),
          SegmentStore.Segment.of(row));
    }
  }

  static List<Found> sequence(Session session, int topicId, long floorId) {
    return session
        .second(SEQUENCE)
        .bind("topicId", topicId)
        .bind("lock", LOCK)
        .bind("floorId", floorId)
        .list(Found::of);
  }

  static void lock(Session session, int topicId) {
    session.statement(LOCK_TOPIC).bind("lock", LOCK).bind("topicId", topicId).run();
  }

  static long rebase(Session session, int topicId) {
    return session.statement(REBASE).bind("topicId", topicId).list(row -> row.getLong(1)).get(0);
  }

  static boolean isForeign(Session session, int topicId) {
    return session
        .statement(IS_FOREIGN)
        .bind("topicId", topicId)
        .list(row -> row.getBoolean(1))
        .contains(true);
  }

  static long prune(Session session, int topicId, long afterId) {
    return session
        .relaxed(PRUNE)
        .bind("topicId", topicId)
        .bind("afterId", afterId)
        .list(row -> row.getLong(1))
        .get(0);
  }
}
