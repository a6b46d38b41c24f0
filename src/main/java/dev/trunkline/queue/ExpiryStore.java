package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The end of messages whose time is over: dropped, or dead letters, by the queue's rule. */
final class ExpiryStore {
  private ExpiryStore() {}

  /**
   * Of what is {@code gone}, with the counts of {@code item}: dead letters, if the queue asks for
   * them. Part of each statement that ends messages.
   */
  private static final String BURIED =
      """
      buried AS (
        INSERT INTO trunkline.dead_letter (
          message_id, queue, reason, deliveries, acquired, enqueued_at, priority, key, type, content_type, headers,
          deaths, payload, time_to_live)
        SELECT
          gone.id, queue.name, 'EXPIRED', item.deliveries, item.acquired, gone.enqueued_at, gone.priority, gone.key,
          gone.type, gone.content_type, gone.headers, gone.deaths, gone.payload, gone.time_to_live
        FROM gone
        JOIN item ON item.id = gone.id
        JOIN trunkline.queue ON queue.id = gone.queue_id
        WHERE queue.expired_messages = 'DEAD_LETTER' AND queue.deleted_at IS NULL
        RETURNING message_id
      )
      """;

  /**
   * Ends messages that were taken out of a lease in this transaction, if their time is over by the
   * database's clock, or certainly. Answers those; the others are still nowhere. Index:
   * message_pkey.
   */
  private static final String EXPIRE =
      """
      WITH item AS MATERIALIZED (
        SELECT i.id, i.deliveries, i.acquired
        FROM unnest(:ids::bigint[], :deliveries::integer[], :acquired::integer[]) AS i(id, deliveries, acquired)
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item)) AND (:certain OR expires_at <= clock_timestamp())
        RETURNING *
      ),
      """
          + BURIED
          + """
      , counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, expired, dead)
        SELECT :queueId, -count(*), count(*), (SELECT count(*) FROM buried)
        FROM gone
        HAVING count(*) > 0
      )
      SELECT id FROM gone
      """;

  /**
   * Ends messages in ready whose time is over; what shares a run with them goes back to its place.
   * Takes runs whose bound is past, those that expire first in front, and skips those that are
   * being claimed. Unless everything is to be looked at it begins ten seconds back, so that the
   * dead entries of runs that were claimed long ago are not walked; the bounds are subqueries,
   * since a volatile function by itself is no condition of an index. Answers how many runs were
   * taken, and the places of what went back. Index: ready_expiry_idx, and message_pkey for each
   * message.
   */
  private static final String SWEEP_READY =
      """
      WITH taken AS (
        DELETE FROM trunkline.ready
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.ready
          WHERE expires_at >= (
            SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            AND expires_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
          ORDER BY expires_at
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING seq, queue_id, bytes, priority, ids, deliveries, acquired
      ), item AS MATERIALIZED (
        SELECT
          t.seq,
          t.queue_id,
          t.bytes,
          t.priority,
          u.id,
          coalesce(u.deliveries, 0) AS deliveries,
          coalesce(u.acquired, 0) AS acquired,
          u.position,
          m.expires_at,
          coalesce(m.expires_at <= coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()), false) AS over
        FROM taken t
        CROSS JOIN LATERAL unnest(t.ids, t.deliveries, t.acquired) WITH ORDINALITY
          AS u(id, deliveries, acquired, position)
        LEFT JOIN LATERAL (
          SELECT message.expires_at FROM trunkline.message WHERE message.id = u.id OFFSET 0) m ON true
      ), rest AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, deliveries, acquired, expires_at)
        SELECT
          seq, queue_id, bytes, priority, array_agg(id ORDER BY position), array_agg(deliveries ORDER BY position),
          array_agg(acquired ORDER BY position), min(expires_at)
        FROM item
        WHERE NOT over
        GROUP BY seq, queue_id, bytes, priority
        RETURNING seq, queue_id, priority
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item WHERE over))
        RETURNING *
      ),
      """
          + BURIED
          + """
      , counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, expired, dead)
        SELECT
          queue_id,
          -coalesce((
            SELECT sum(t.bytes)
            FROM taken t
            WHERE t.queue_id = item.queue_id
              AND NOT EXISTS (SELECT 1 FROM item kept WHERE kept.seq = t.seq AND NOT kept.over)), 0),
          -count(*),
          count(*),
          count(*) FILTER (WHERE id IN (SELECT message_id FROM buried))
        FROM item
        WHERE over
        GROUP BY queue_id
      )
      SELECT
        (SELECT count(*) FROM taken) AS taken, rest.queue_id, rest.priority, min(rest.seq) AS first,
        max(rest.seq) AS last
      FROM (SELECT) one
      LEFT JOIN rest ON true
      GROUP BY rest.queue_id, rest.priority
      """;

  /**
   * Ends messages in scheduled whose time is over before they are due. As SWEEP_READY. Answers how
   * many. Index: scheduled_expiry_idx.
   */
  private static final String SWEEP_SCHEDULED =
      """
      WITH item AS (
        DELETE FROM trunkline.scheduled
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.scheduled
          WHERE expires_at >= (
            SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            AND expires_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
          ORDER BY expires_at
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING id, queue_id, bytes, deliveries, acquired
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item))
        RETURNING *
      ),
      """
          + BURIED
          + """
      , counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, scheduled, expired, dead)
        SELECT
          queue_id, -sum(bytes), -count(*), count(*), count(*) FILTER (WHERE id IN (SELECT message_id FROM buried))
        FROM item
        GROUP BY queue_id
      )
      SELECT count(*) FROM item
      """;

  /**
   * Ends messages that wait by key. As SWEEP_READY. The turns of their keys stay: a claim finds the
   * line empty, and closes it. Answers how many. Index: line_expiry_idx.
   */
  private static final String SWEEP_LINES =
      """
      WITH item AS (
        DELETE FROM trunkline.line
        WHERE ctid = ANY (ARRAY(
          SELECT ctid
          FROM trunkline.line
          WHERE expires_at >= (
            SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '10 seconds' END)
            AND expires_at <= (SELECT coalesce(to_timestamp(nullif(:nowMs, -1) / 1000.0), clock_timestamp()))
          ORDER BY expires_at
          LIMIT :limit
          FOR UPDATE SKIP LOCKED))
        RETURNING id, queue_id, bytes, deliveries, acquired
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item))
        RETURNING *
      ),
      """
          + BURIED
          + """
      , counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, expired, dead)
        SELECT
          queue_id, -sum(bytes), -count(*), count(*), count(*) FILTER (WHERE id IN (SELECT message_id FROM buried))
        FROM item
        GROUP BY queue_id
      )
      SELECT count(*) FROM item
      """;

  /** What went back to ready, in one lane; the places are zero if nothing did. */
  record Swept(long taken, int queueId, Lanes.Announced rest) {}

  static List<Long> expire(
      Session session, int queueId, List<SettleStore.Held> messages, boolean certain) {
    return session
        .relaxed(EXPIRE)
        .bind("queueId", queueId)
        .bind("certain", certain)
        .bindArray("ids", messages.stream().mapToLong(SettleStore.Held::id).toArray())
        .bindArray("deliveries", messages.stream().mapToInt(SettleStore.Held::deliveries).toArray())
        .bindArray("acquired", messages.stream().mapToInt(SettleStore.Held::acquired).toArray())
        .list(row -> row.getLong(1));
  }

  static List<Swept> sweepReady(
      Session session, boolean everything, @Nullable Instant now, int limit) {
    return session
        .relaxed(SWEEP_READY)
        .bind("everything", everything)
        .bind("nowMs", now == null ? -1 : now.toEpochMilli())
        .bind("limit", limit)
        .list(
            row ->
                new Swept(
                    row.getLong("taken"),
                    row.getInt("queue_id"),
                    new Lanes.Announced(
                        row.getInt("priority"), row.getLong("first"), row.getLong("last"))));
  }

  static long sweepScheduled(
      Session session, boolean everything, @Nullable Instant now, int limit) {
    return swept(session.relaxed(SWEEP_SCHEDULED), everything, now, limit);
  }

  static long sweepLines(Session session, boolean everything, @Nullable Instant now, int limit) {
    return swept(session.relaxed(SWEEP_LINES), everything, now, limit);
  }

  private static long swept(
      Session.Rows statement, boolean everything, @Nullable Instant now, int limit) {
    return statement
        .bind("everything", everything)
        .bind("nowMs", now == null ? -1 : now.toEpochMilli())
        .bind("limit", limit)
        .list(row -> row.getLong(1))
        .get(0);
  }
}
