package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Sending by rules: duplicates are recognised, and messages expire. Slower than {@link
 * PublishStore}: the ids are drawn first, and the payloads pass through a materialized CTE.
 */
final class RuledSendStore {
  private RuledSendStore() {}

  private static final String IDS =
      """
      SELECT nextval('trunkline.message_id_seq')
      FROM generate_series(1, :count)
      """;

  /**
   * Remembers the deduplication ids of messages that are about to be stored: those that are not
   * there, or whose time is over. In the order of the ids, so that two senders of the same ones
   * wait for each other, but not in a circle. Waits for a sender of the same id that has not
   * committed. What is there already is locked until the transaction ends, so that STORE finds it.
   *
   * <p>An id is not remembered for longer than its message lives: a duplicate would be confirmed
   * with a message that nobody will get. Index: dedup_pkey.
   */
  private static final String REMEMBER =
      """
      INSERT INTO trunkline.dedup (queue_id, scope, dedup_id, message_id, expires_at)
      SELECT DISTINCT ON (m.scope, m.dedup_id)
        q.id,
        m.scope,
        m.dedup_id,
        m.id,
        clock_timestamp() + least(
          coalesce(q.dedup_window, :windowMs * interval '1 millisecond'),
          q.time_to_live,
          m.time_to_live_ms * interval '1 millisecond')
      FROM trunkline.queue q
      CROSS JOIN unnest(:ids::bigint[], :scopes::text[], :dedupIds::text[], :timesToLiveMs::bigint[])
        AS m(id, scope, dedup_id, time_to_live_ms)
      WHERE q.id = :queueId AND q.deleted_at IS NULL AND m.dedup_id IS NOT NULL
      ORDER BY m.scope, m.dedup_id, m.id
      ON CONFLICT (queue_id, scope, dedup_id) DO UPDATE
      SET message_id = excluded.message_id, expires_at = excluded.expires_at
      WHERE dedup.expires_at <= clock_timestamp()
      """;

  /**
   * Stores those that REMEMBER has found to be the first, and those that have no deduplication id;
   * with their runs, or in scheduled. A statement of its own behind REMEMBER: it sees what the
   * sender that REMEMBER has waited for has committed. Answers for each message the id it has, be
   * it that of an earlier one; nothing if the queue was deleted. Index: dedup_pkey, a step per
   * message.
   */
  private static final String STORE =
      """
      WITH incoming AS MATERIALIZED (
        SELECT
          m.*,
          q.ordering IS NOT NULL AS keyed,
          coalesce(first.message_id, m.id) AS first_id,
          CASE
            WHEN m.due_at_ms IS NOT NULL THEN timestamptz 'epoch' + m.due_at_ms * interval '1 millisecond'
            WHEN m.delay_ms > 0 THEN clock_timestamp() + m.delay_ms * interval '1 millisecond'
          END AS due_at,
          m.time_to_live_ms * interval '1 millisecond' AS time_to_live,
          clock_timestamp() + least(m.time_to_live_ms * interval '1 millisecond', q.time_to_live) AS expires_at
        FROM trunkline.queue q
        CROSS JOIN unnest(
          :ids::bigint[], :payloads::bytea[], :priorities::smallint[], :keys::text[], :types::text[],
          :contentTypes::text[], :headers::text[], :runs::integer[], :scopes::text[], :dedupIds::text[],
          :timesToLiveMs::bigint[], :delaysMs::bigint[], :dueAtsMs::bigint[])
          AS m(
            id, payload, priority, key, type, content_type, headers, run, scope, dedup_id, time_to_live_ms, delay_ms,
            due_at_ms)
        LEFT JOIN LATERAL (
          SELECT dedup.message_id
          FROM trunkline.dedup
          WHERE dedup.queue_id = :queueId AND dedup.scope = m.scope AND dedup.dedup_id = m.dedup_id
          OFFSET 0) first ON true
        WHERE q.id = :queueId AND q.deleted_at IS NULL
      ), stored AS (
        INSERT INTO trunkline.message (
          id, queue_id, priority, key, type, content_type, headers, payload, expires_at, time_to_live)
        SELECT
          id, :queueId, priority, key, type, content_type, jsonb_object(headers::text[]), payload, expires_at,
          time_to_live
        FROM incoming
        WHERE first_id = id
      ),
      """;

  /** The runs of what is ready. */
  private static final String IN_RUNS =
      """
      readied AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, expires_at)
        SELECT min(id), :queueId, sum(octet_length(payload)), priority, array_agg(id ORDER BY id), min(expires_at)
        FROM incoming
        WHERE first_id = id AND due_at IS NULL
        GROUP BY run, priority
      )
      """;

  /**
   * What is ready, in the lines of its keys. The ids have been drawn before, by another statement:
   * so there is a mark for each key, known or not, that says how far back they reach.
   */
  private static final String IN_LINES =
      """
      placed AS MATERIALIZED (
        SELECT id, key COLLATE "C" AS key, octet_length(payload) AS bytes, expires_at
        FROM incoming
        WHERE first_id = id AND due_at IS NULL
      ),
      """
          + KeyedPublishStore.JOIN_LINES
          + """
      , reaching_back AS (
        INSERT INTO trunkline.key_mark (first_id, queue_id, key)
        SELECT min(placed.id), :queueId, placed.key
        FROM placed
        WHERE placed.key IN (SELECT known.key FROM known)
        GROUP BY placed.key
      )
      """;

  private static final String AND_COUNT =
      """
      , delayed AS (
        INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority, expires_at, key)
        SELECT id, due_at, :queueId, octet_length(payload), priority, expires_at, CASE WHEN keyed THEN key END
        FROM incoming
        WHERE first_id = id AND due_at IS NOT NULL
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, ready, scheduled)
        SELECT :queueId, count(*), sum(octet_length(payload)), count(*) FILTER (WHERE due_at IS NULL), count(due_at)
        FROM incoming
        WHERE first_id = id
        HAVING count(*) > 0
      )
      SELECT
        id,
        first_id,
        coalesce(greatest(0, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::bigint), 0) AS due_in_ms
      FROM incoming
      """;

  private static final String STORE_RUNS = STORE + IN_RUNS + AND_COUNT;
  private static final String STORE_LINES = STORE + IN_LINES + AND_COUNT;

  /** The first ids of those deduplication ids that are known and not over. Index: dedup_pkey. */
  private static final String KNOWN =
      """
      SELECT m.position, dedup.message_id
      FROM unnest(:scopes::text[], :dedupIds::text[]) WITH ORDINALITY AS m(scope, dedup_id, position)
      CROSS JOIN LATERAL (
        SELECT dedup.message_id
        FROM trunkline.dedup
        WHERE dedup.queue_id = :queueId
          AND dedup.scope = m.scope
          AND dedup.dedup_id = m.dedup_id
          AND dedup.expires_at > clock_timestamp()
        OFFSET 0) dedup
      ORDER BY m.position
      """;

  /** A row of the answer: the id that was drawn for the message, and what became of it. */
  private record Answer(long drawn, PublishStore.Stored stored) {}

  /** Stores a batch. Answers the messages in the order of the batch. */
  static List<PublishStore.Stored> store(Session session, QueueRow queue, OutgoingBatch batch) {
    long[] ids =
        session.statement(IDS).bind("count", batch.size()).list(row -> row.getLong(1)).stream()
            .mapToLong(Long::longValue)
            .sorted()
            .toArray();
    Deduplication deduplication = queue.config().sendRules().deduplication().orElse(null);
    List<@Nullable Fingerprint> fingerprints = batch.fingerprints(deduplication);
    String store = queue.config().ordering().isKeyed() ? STORE_LINES : STORE_RUNS;
    Session.Rows statement =
        deduplication == null
            ? session.lasting(store)
            : session
                .pinnedPair(REMEMBER, store)
                .bind("windowMs", deduplication.window().toMillis());
    return statement
        .bind("queueId", queue.id())
        .bindArray("ids", ids)
        .bindArray("payloads", batch.payloads())
        .bindArray("priorities", batch.priorities())
        .bindArray("keys", batch.keys())
        .bindArray("types", batch.types())
        .bindArray("contentTypes", batch.contentTypes())
        .bindArray("headers", batch.headers())
        .bindArray("runs", batch.runs())
        .bindArray("scopes", scopes(fingerprints))
        .bindArray("dedupIds", ids(fingerprints))
        .bindArray("timesToLiveMs", batch.timesToLiveMs())
        .bindArray("delaysMs", batch.isScheduled() ? batch.delaysMs() : new Long[0])
        .bindArray("dueAtsMs", batch.isScheduled() ? batch.dueAtsMs() : new Long[0])
        .list(
            row ->
                new Answer(
                    row.getLong("id"),
                    new PublishStore.Stored(
                        row.getLong("first_id"),
                        row.getLong("due_in_ms"),
                        row.getLong("first_id") == row.getLong("id"))))
        .stream()
        .sorted(Comparator.comparingLong(Answer::drawn))
        .map(Answer::stored)
        .toList();
  }

  /** The first ids of those that were sent before, in the order of what they are known by. */
  static List<Long> known(Session session, int queueId, List<@Nullable Fingerprint> fingerprints) {
    return session
        .statement(KNOWN)
        .bind("queueId", queueId)
        .bindArray("scopes", scopes(fingerprints))
        .bindArray("dedupIds", ids(fingerprints))
        .list(row -> row.getLong("message_id"));
  }

  private static @Nullable String[] scopes(List<@Nullable Fingerprint> fingerprints) {
    return fingerprints.stream()
        .map(fingerprint -> fingerprint == null ? null : fingerprint.scope())
        .toArray(String[]::new);
  }

  private static @Nullable String[] ids(List<@Nullable Fingerprint> fingerprints) {
    return fingerprints.stream()
        .map(fingerprint -> fingerprint == null ? null : fingerprint.id())
        .toArray(String[]::new);
  }
}
