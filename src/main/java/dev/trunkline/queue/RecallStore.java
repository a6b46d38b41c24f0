package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * Taking one message out of scheduled, ready or the line of its key, for good or for later. On disk
 * when it returns: a crash of the server must not bring back what was cancelled. On a caller's
 * connection as part of its transaction.
 */
final class RecallStore {
  private RecallStore() {}

  /** Waits for a scheduler that is moving the message. Answers nothing if it has moved it. */
  private static final String CANCEL_SCHEDULED =
      """
      WITH gone AS (
        DELETE FROM trunkline.scheduled
        WHERE id = :id AND queue_id = :queueId
        RETURNING id, bytes
      ), forgotten AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM gone))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, scheduled)
        SELECT :queueId, -bytes, -1
        FROM gone
      )
      SELECT 0::bigint AS seq, 0 AS priority, -1::bigint AS due_in_ms
      FROM gone
      """;

  /** As CANCEL_SCHEDULED, but gives the message another time. */
  private static final String PUT_OFF_SCHEDULED =
      """
      UPDATE trunkline.scheduled
      SET due_at = CASE
        WHEN :dueAtMs >= 0 THEN timestamptz 'epoch' + :dueAtMs * interval '1 millisecond'
        ELSE clock_timestamp() + :delayMs * interval '1 millisecond'
      END
      WHERE id = :id AND queue_id = :queueId
      RETURNING
        0::bigint AS seq,
        0 AS priority,
        greatest(0, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::bigint) AS due_in_ms
      """;

  /**
   * Takes the message out of its run, whose rest goes back to its place, and deletes it, or puts it
   * into scheduled. Looks for the run from a place downwards, nearest first, at so many runs of the
   * lane; waits for a claim that has it locked. Answers nothing if the run is not there, or no
   * longer. Index: ready_claim_idx, backwards; the run itself is then reached by ctid, and looked
   * at again under its lock.
   */
  private static final String FROM_READY =
      """
      WITH near AS MATERIALIZED (
        SELECT r.tid
        FROM trunkline.message m
        CROSS JOIN LATERAL (
          SELECT ready.ctid AS tid, ready.ids
          FROM trunkline.ready
          WHERE ready.queue_id = :queueId AND ready.priority = m.priority AND ready.seq <= :upTo
          ORDER BY ready.seq DESC
          LIMIT :limit) r
        WHERE m.id = :id AND m.queue_id = :queueId AND :id = ANY (r.ids)
        LIMIT 1
      ), run AS MATERIALIZED (
        SELECT ctid AS tid, seq, bytes, priority, ids, deliveries, acquired, expires_at
        FROM trunkline.ready
        WHERE ctid = (SELECT tid FROM near) AND :id = ANY (ids)
        FOR UPDATE
      ), emptied AS (
        DELETE FROM trunkline.ready
        WHERE ctid = ANY (ARRAY(SELECT tid FROM run))
      ), item AS MATERIALIZED (
        SELECT
          run.seq,
          run.bytes,
          run.priority,
          run.expires_at,
          u.id,
          coalesce(u.deliveries, 0) AS deliveries,
          coalesce(u.acquired, 0) AS acquired,
          u.position,
          u.id = :id AS wanted
        FROM run
        CROSS JOIN LATERAL unnest(run.ids, run.deliveries, run.acquired) WITH ORDINALITY
          AS u(id, deliveries, acquired, position)
      ), rest AS (
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, deliveries, acquired, expires_at)
        SELECT
          seq, :queueId, bytes, priority, array_agg(id ORDER BY position), array_agg(deliveries ORDER BY position),
          array_agg(acquired ORDER BY position), expires_at
        FROM item
        WHERE NOT wanted
        GROUP BY seq, bytes, priority, expires_at
        RETURNING seq
      ), later AS (
        INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority, deliveries, acquired, expires_at)
        SELECT
          item.id,
          CASE
            WHEN :dueAtMs >= 0 THEN timestamptz 'epoch' + :dueAtMs * interval '1 millisecond'
            ELSE clock_timestamp() + :delayMs * interval '1 millisecond'
          END,
          :queueId,
          m.bytes,
          item.priority,
          item.deliveries,
          item.acquired,
          m.expires_at
        FROM item
        CROSS JOIN LATERAL (
          SELECT octet_length(payload) AS bytes, expires_at
          FROM trunkline.message
          WHERE message.id = item.id
          OFFSET 0) m
        WHERE item.wanted AND NOT :cancel
        RETURNING due_at, bytes
      ), forgotten AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item WHERE wanted AND :cancel))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, scheduled)
        SELECT
          :queueId,
          coalesce((SELECT sum(bytes) FROM later), 0) - CASE WHEN EXISTS (SELECT 1 FROM rest) THEN 0 ELSE bytes END,
          -1,
          (SELECT count(*) FROM later)
        FROM item
        WHERE wanted
      )
      SELECT
        coalesce((SELECT seq FROM rest), 0) AS seq,
        item.priority,
        coalesce((
          SELECT greatest(0, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::bigint) FROM later), -1)
          AS due_in_ms
      FROM item
      WHERE item.wanted
      """;

  /**
   * Takes the message out of the line of its key, and deletes it, or puts it into scheduled; waits
   * for a claim that has it locked. The turn of the key stays: a claim that finds the line empty
   * closes it. Answers nothing if it is not there, or no longer. Index: line_pkey.
   */
  private static final String FROM_LINE =
      """
      WITH gone AS (
        DELETE FROM trunkline.line
        WHERE queue_id = :queueId
          AND key = (SELECT coalesce(key, '') FROM trunkline.message WHERE id = :id AND queue_id = :queueId)
          AND id = :id
        RETURNING id, bytes, deliveries, acquired, expires_at, key
      ), later AS (
        INSERT INTO trunkline.scheduled (
          id, due_at, queue_id, bytes, priority, deliveries, acquired, expires_at, key)
        SELECT
          id,
          CASE
            WHEN :dueAtMs >= 0 THEN timestamptz 'epoch' + :dueAtMs * interval '1 millisecond'
            ELSE clock_timestamp() + :delayMs * interval '1 millisecond'
          END,
          :queueId, bytes, 0, deliveries, acquired, expires_at, key
        FROM gone
        WHERE NOT :cancel
        RETURNING due_at
      ), forgotten AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM gone WHERE :cancel))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, scheduled)
        SELECT :queueId, CASE WHEN :cancel THEN -bytes ELSE 0 END, -1, CASE WHEN :cancel THEN 0 ELSE 1 END
        FROM gone
      )
      SELECT
        0::bigint AS seq,
        0 AS priority,
        coalesce((
          SELECT greatest(0, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::bigint) FROM later), -1)
          AS due_in_ms
      FROM gone
      """;

  /**
   * Where the message is, in one snapshot. What is in no other state is ready: that is the one
   * which is dear to look through.
   */
  private static final String LOOK =
      """
      SELECT CASE
        WHEN NOT EXISTS (SELECT 1 FROM trunkline.message WHERE id = :id AND queue_id = :queueId) THEN 'GONE'
        WHEN EXISTS (SELECT 1 FROM trunkline.scheduled WHERE id = :id) THEN 'SCHEDULED'
        WHEN EXISTS (SELECT 1 FROM trunkline.lease WHERE queue_id = :queueId AND :id = ANY (ids)) THEN 'IN_FLIGHT'
        ELSE 'READY'
      END
      """;

  /** Where a message was seen. */
  enum Place {
    READY,
    SCHEDULED,
    IN_FLIGHT,
    GONE
  }

  /**
   * What is wanted of the message.
   *
   * @param dueAtMs its new time, in milliseconds since 1970, or -1 if the delay counts
   */
  record Wish(boolean cancel, long delayMs, long dueAtMs) {
    private static final Duration LONGEST_DELAY = Duration.ofDays(3650);
    private static final Instant LATEST = Instant.parse("9999-12-31T00:00:00Z");

    static Wish toCancel() {
      return new Wish(true, 0, -1);
    }

    static Wish toWait(Duration after) {
      if (after.isNegative() || after.compareTo(LONGEST_DELAY) > 0) {
        throw new IllegalArgumentException("after must be between zero and 3650 days: " + after);
      }
      return new Wish(false, after.toMillis(), -1);
    }

    static Wish toWaitUntil(Instant at) {
      if (at.isAfter(LATEST)) {
        throw new IllegalArgumentException("at must be before the year 10000: " + at);
      }
      return new Wish(false, 0, at.isBefore(Instant.EPOCH) ? 0 : at.toEpochMilli());
    }
  }

  /**
   * The message was there.
   *
   * @param rest the place of the others of its run
   * @param dueInMs when it is due, if it is
   */
  record Recalled(List<Lanes.Announced> rest, Optional<Long> dueInMs) {}

  static Optional<Recalled> fromScheduled(Session session, int queueId, long id, Wish wish) {
    Session.Rows statement = session.lasting(wish.cancel() ? CANCEL_SCHEDULED : PUT_OFF_SCHEDULED);
    if (!wish.cancel()) {
      statement.bind("delayMs", wish.delayMs()).bind("dueAtMs", wish.dueAtMs());
    }
    return recalled(statement.bind("queueId", queueId).bind("id", id));
  }

  static Optional<Recalled> fromReady(
      Session session, int queueId, long id, long upTo, int limit, Wish wish) {
    return recalled(
        session
            .lasting(FROM_READY)
            .bind("queueId", queueId)
            .bind("id", id)
            .bind("upTo", upTo)
            .bind("limit", limit)
            .bind("cancel", wish.cancel())
            .bind("delayMs", wish.delayMs())
            .bind("dueAtMs", wish.dueAtMs()));
  }

  static Optional<Recalled> fromLine(Session session, int queueId, long id, Wish wish) {
    return recalled(
        session
            .lasting(FROM_LINE)
            .bind("queueId", queueId)
            .bind("id", id)
            .bind("cancel", wish.cancel())
            .bind("delayMs", wish.delayMs())
            .bind("dueAtMs", wish.dueAtMs()));
  }

  static Place look(Session session, int queueId, long id) {
    return session
        .pinned(LOOK)
        .bind("queueId", queueId)
        .bind("id", id)
        .list(row -> Place.valueOf(row.getString(1)))
        .get(0);
  }

  private static Optional<Recalled> recalled(Session.Rows statement) {
    return statement
        .list(
            row -> {
              long seq = row.getLong("seq");
              long dueInMs = row.getLong("due_in_ms");
              return new Recalled(
                  seq == 0
                      ? List.of()
                      : List.of(new Lanes.Announced(row.getInt("priority"), seq, seq)),
                  dueInMs < 0 ? Optional.empty() : Optional.of(dueInMs));
            })
        .stream()
        .findFirst();
  }
}
