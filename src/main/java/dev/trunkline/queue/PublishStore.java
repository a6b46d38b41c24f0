package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.List;

/** Sending: the payload, and the message's place in ready or in scheduled. */
final class PublishStore {
  private PublishStore() {}

  /**
   * Stores messages that are ready at once, and their runs. Runs on the caller's connection, too:
   * inserts only, no setting is changed, no lock is taken that another sender could wait for.
   *
   * <p>Ids are handed out in the order of the arrays, so sorted ids are the messages' order. Absent
   * columns come as empty arrays, which unnest fills with nulls. runs names the run of each
   * message. Answers nothing if the queue was deleted.
   */
  private static final String SEND =
      """
      WITH stored AS (
        INSERT INTO trunkline.message (queue_id, priority, key, type, content_type, headers, payload)
        SELECT q.id, m.priority, m.key, m.type, m.content_type, jsonb_object(m.headers::text[]), m.payload
        FROM trunkline.queue q
        CROSS JOIN unnest(
          :payloads::bytea[], :priorities::smallint[], :keys::text[], :types::text[], :contentTypes::text[],
          :headers::text[]) AS m(payload, priority, key, type, content_type, headers)
        WHERE q.id = :queueId AND q.deleted_at IS NULL
        RETURNING id, priority, octet_length(payload) AS bytes
      ), readied AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids)
        SELECT min(s.id), :queueId, sum(s.bytes), s.priority, array_agg(s.id)
        FROM (SELECT id, priority, bytes, (:runs::integer[])[row_number() OVER ()] AS run FROM stored) s
        GROUP BY s.run, s.priority
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, ready)
        SELECT :queueId, count(*), sum(bytes), count(*)
        FROM stored
        HAVING count(*) > 0
      )
      SELECT id, 0::bigint AS due_in_ms
      FROM stored
      """;

  /**
   * Stores messages that wait for their time, by the database's clock: delay_ms after now, or at
   * due_at_ms since 1970. Not the hot path: the payloads pass through the materialized CTE, which
   * is what keeps id and time together. Where queues are keyed the key comes along.
   */
  private static final String SCHEDULE =
      """
      WITH incoming AS MATERIALIZED (
        SELECT
          nextval('trunkline.message_id_seq') AS id,
          CASE
            WHEN m.due_at_ms IS NULL THEN clock_timestamp() + m.delay_ms * interval '1 millisecond'
            ELSE timestamptz 'epoch' + m.due_at_ms * interval '1 millisecond'
          END AS due_at,
          q.ordering IS NOT NULL AS keyed,
          m.*
        FROM trunkline.queue q
        CROSS JOIN unnest(
          :payloads::bytea[], :priorities::smallint[], :keys::text[], :types::text[], :contentTypes::text[],
          :headers::text[], :delaysMs::bigint[], :dueAtsMs::bigint[])
          AS m(payload, priority, key, type, content_type, headers, delay_ms, due_at_ms)
        WHERE q.id = :queueId AND q.deleted_at IS NULL
      ), stored AS (
        INSERT INTO trunkline.message (id, queue_id, priority, key, type, content_type, headers, payload)
        SELECT id, :queueId, priority, key, type, content_type, jsonb_object(headers::text[]), payload
        FROM incoming
      ), delayed AS (
        INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority, key)
        SELECT id, due_at, :queueId, octet_length(payload), priority, CASE WHEN keyed THEN key END
        FROM incoming
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, scheduled)
        SELECT :queueId, count(*), sum(octet_length(payload)), count(*)
        FROM incoming
        HAVING count(*) > 0
      )
      SELECT id, greatest(0, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::bigint) AS due_in_ms
      FROM incoming
      """;

  /**
   * A stored message; dueInMs is zero if it is ready. If it is not fresh, it was stored before, and
   * is a duplicate now.
   */
  record Stored(long id, long dueInMs, boolean fresh) {}

  static List<Stored> store(Session session, int queueId, OutgoingBatch batch) {
    Session.Rows statement =
        session
            .durable(batch.isScheduled() ? SCHEDULE : SEND)
            .bind("queueId", queueId)
            .bindArray("payloads", batch.payloads())
            .bindArray("priorities", batch.priorities())
            .bindArray("keys", batch.keys())
            .bindArray("types", batch.types())
            .bindArray("contentTypes", batch.contentTypes())
            .bindArray("headers", batch.headers());
    if (batch.isScheduled()) {
      statement.bindArray("delaysMs", batch.delaysMs()).bindArray("dueAtsMs", batch.dueAtsMs());
    } else {
      statement.bindArray("runs", batch.runs());
    }
    return statement.list(row -> new Stored(row.getLong("id"), row.getLong("due_in_ms"), true));
  }
}
