package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import dev.trunkline.message.MessageId;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;

/** Looking without touching: plain reads, no locks. */
final class PeekStore {
  private PeekStore() {}

  /** In the order of delivery. */
  private static final String READY =
      """
      SELECT
        u.id, run.priority, coalesce(u.deliveries, 0) AS deliveries, coalesce(u.acquired, 0) AS acquired,
        NULL::timestamptz AS until, m.enqueued_at, m.key, m.type, m.content_type, m.headers, m.payload
      FROM generate_series(9, 0, -1) WITH ORDINALITY AS lane(priority, lane_position)
      CROSS JOIN LATERAL (
        SELECT ready.seq, ready.priority, ready.ids, ready.deliveries, ready.acquired
        FROM trunkline.ready
        WHERE ready.queue_id = :queueId AND ready.priority = lane.priority
        ORDER BY ready.seq
        LIMIT :limit) run
      CROSS JOIN LATERAL unnest(run.ids, run.deliveries, run.acquired) WITH ORDINALITY
        AS u(id, deliveries, acquired, position)
      JOIN LATERAL (
        SELECT
          enqueued_at, key, type, content_type, payload,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers
        FROM trunkline.message
        WHERE message.id = u.id
        OFFSET 0) m ON true
      ORDER BY lane.lane_position, run.seq, u.position
      LIMIT :limit
      """;

  /** Where messages wait by key: key by key, in the order of each. */
  private static final String LINE =
      """
      SELECT
        l.id, m.priority, l.deliveries, l.acquired,
        l.due_at AS until, m.enqueued_at, m.key, m.type, m.content_type, m.headers, m.payload
      FROM (
        SELECT key, id, deliveries, acquired, due_at
        FROM trunkline.line
        WHERE queue_id = :queueId
        ORDER BY key, id
        LIMIT :limit) l
      JOIN LATERAL (
        SELECT
          priority, enqueued_at, key, type, content_type, payload,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers
        FROM trunkline.message
        WHERE message.id = l.id
        OFFSET 0) m ON true
      ORDER BY l.key, l.id
      """;

  /** Those due first in front. */
  private static final String SCHEDULED =
      """
      SELECT
        s.id, s.priority, s.deliveries, s.acquired,
        s.due_at AS until, m.enqueued_at, m.key, m.type, m.content_type, m.headers, m.payload
      FROM (
        SELECT id, priority, deliveries, acquired, due_at
        FROM trunkline.scheduled
        WHERE queue_id = :queueId AND queue_id > 0
        ORDER BY due_at, id
        LIMIT :limit) s
      JOIN LATERAL (
        SELECT
          enqueued_at, key, type, content_type, payload,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers
        FROM trunkline.message
        WHERE message.id = s.id
        OFFSET 0) m ON true
      ORDER BY s.due_at, s.id
      """;

  /**
   * Those that become visible again first in front. Reads all leases: there are as many as claims
   * under way.
   */
  private static final String IN_FLIGHT =
      """
      SELECT
        u.id, m.priority, u.deliveries, u.acquired,
        l.visible_at AS until, m.enqueued_at, m.key, m.type, m.content_type, m.headers, m.payload
      FROM trunkline.lease l
      CROSS JOIN LATERAL unnest(l.ids, l.deliveries, l.acquired) WITH ORDINALITY
        AS u(id, deliveries, acquired, position)
      JOIN LATERAL (
        SELECT
          priority, enqueued_at, key, type, content_type, payload,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers
        FROM trunkline.message
        WHERE message.id = u.id
        OFFSET 0) m ON true
      WHERE l.queue_id = :queueId
      ORDER BY l.visible_at, l.id, u.position
      LIMIT :limit
      """;

  static List<PeekedMessage> peek(Session session, QueueRow queue, MessageState state, int limit) {
    String statement =
        switch (state) {
          case READY -> queue.config().ordering().isKeyed() ? LINE : READY;
          case SCHEDULED -> SCHEDULED;
          case IN_FLIGHT -> IN_FLIGHT;
        };
    return session
        .statement(statement)
        .bind("queueId", queue.id())
        .bind("limit", limit)
        .list(row -> peeked(row, state));
  }

  private static PeekedMessage peeked(ResultSet row, MessageState state) throws SQLException {
    MessageRow message = MessageRow.of(row, row.getInt("priority"));
    return new PeekedMessage(
        new MessageId(row.getLong("id")),
        message.message(),
        state,
        row.getInt("deliveries"),
        row.getInt("acquired"),
        message.enqueuedAt(),
        Optional.ofNullable(row.getObject("until", OffsetDateTime.class))
            .map(OffsetDateTime::toInstant));
  }
}
