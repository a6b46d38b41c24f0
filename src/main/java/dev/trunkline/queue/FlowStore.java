package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Optional;
import java.util.OptionalLong;

/** Claims from queues that limit them: what a claim asks before it takes, and says afterwards. */
final class FlowStore {
  private FlowStore() {}

  /** Half of the key of the advisory lock; the other half is the queue. "TrFl" in ASCII. */
  static final int LOCK = 0x5472466c;

  /**
   * May this queue be claimed from, and how much? First statement of the transaction that claims.
   *
   * <p>Two statements. The first takes the queue's lock if it is free; the second, whose snapshot
   * is therefore newer than the last holder's commit, reads: the newest activation and whether its
   * candidate lives; until when the rate is used up; what is in flight, by the tally, if there is a
   * cap. Each is one step from the end of an index, but for the tally, of which it reads a few rows
   * per queue and those of the last second. The rules are read afresh, so an altered rate is obeyed
   * at once.
   *
   * <p>The lock goes with the transaction. One that is idle for longer than ten seconds, since its
   * process froze, is ended by the server; a stricter limit stays. Answers nothing if the queue has
   * been deleted.
   */
  private static final String ASK =
      """
      SELECT
        set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true),
        set_config('enable_sort', 'off', true),
        set_config('plan_cache_mode', 'force_generic_plan', true),
        set_config('jit', 'off', true),
        set_config('idle_in_transaction_session_timeout', least(
          10000,
          nullif((extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval) * 1000)::bigint, 0)
        )::text, true),
        set_config('trunkline.claims', pg_try_advisory_xact_lock(:lock, :queueId)::text, true);

      SELECT
        current_setting('trunkline.claims', true) = 'true' AS locked,
        q.single_active,
        coalesce((
          SELECT CASE WHEN EXISTS (
            SELECT 1
            FROM trunkline.candidate c
            JOIN trunkline.consumer ON consumer.id = c.consumer_id
            WHERE c.id = a.candidate_id) THEN a.epoch END
          FROM trunkline.activation a
          WHERE q.single_active AND a.queue_id = :queueId
          ORDER BY a.epoch DESC
          LIMIT 1), 0) AS epoch,
        extract(epoch FROM q.rate_period) * 1000000 / q.rate_messages AS micros_per_message,
        q.rate_burst,
        greatest(0, extract(epoch FROM (
          SELECT r.used_until
          FROM trunkline.rate_mark r
          WHERE q.rate_messages IS NOT NULL AND r.queue_id = :queueId
          ORDER BY r.id DESC
          LIMIT 1) - clock_timestamp()) * 1000000)::bigint AS used_micros,
        q.max_in_flight - (
          SELECT coalesce(sum(t.in_flight), 0)
          FROM trunkline.tally t
          WHERE q.max_in_flight IS NOT NULL AND t.id >= :tallyFrom AND t.queue_id = :queueId) AS free
      FROM trunkline.queue q
      WHERE q.id = :queueId AND q.deleted_at IS NULL
      """;

  /**
   * So many were taken: the rate is used up for so much longer. Under the lock; as durable as the
   * claim, since it is in its transaction. Rounded up, so that no number of claims is faster than
   * the rate.
   */
  private static final String TOOK =
      """
      INSERT INTO trunkline.rate_mark (queue_id, used_until)
      SELECT
        :queueId,
        greatest(clock_timestamp(), (
          SELECT r.used_until
          FROM trunkline.rate_mark r
          WHERE r.queue_id = :queueId
          ORDER BY r.id DESC
          LIMIT 1))
        + ceil(extract(epoch FROM q.rate_period) * 1000000 * :taken / q.rate_messages) * interval '1 microsecond'
      FROM trunkline.queue q
      WHERE q.id = :queueId AND q.rate_messages IS NOT NULL
      RETURNING id
      """;

  /**
   * Rate marks that a newer one has replaced, age marks that are older than any message can gain
   * by, activations that a newer one has replaced, and candidates whose process is gone. Bounded.
   */
  private static final String PRUNE =
      """
      WITH rates AS (
        DELETE FROM trunkline.rate_mark
        WHERE ctid = ANY (ARRAY(
          SELECT r.ctid
          FROM trunkline.queue q
          CROSS JOIN LATERAL (
            SELECT newest.id
            FROM trunkline.rate_mark newest
            WHERE newest.queue_id = q.id
            ORDER BY newest.id DESC
            LIMIT 1) last
          CROSS JOIN LATERAL (
            SELECT rate_mark.ctid
            FROM trunkline.rate_mark
            WHERE rate_mark.queue_id = q.id AND rate_mark.id < last.id
            ORDER BY rate_mark.id
            LIMIT :limit) r
          LIMIT :limit))
        RETURNING 1
      ), ages AS (
        DELETE FROM trunkline.age_mark m
        USING trunkline.queue q
        WHERE q.id = m.queue_id
          AND (q.priority_ageing IS NULL OR m.marked_at < clock_timestamp() - 12 * q.priority_ageing)
        RETURNING 1
      ), activations AS (
        DELETE FROM trunkline.activation a
        WHERE a.activated_at < clock_timestamp() - interval '1 minute'
          AND EXISTS (
            SELECT 1
            FROM trunkline.activation newer
            WHERE newer.queue_id = a.queue_id AND newer.epoch > a.epoch)
        RETURNING 1
      ), candidates AS (
        DELETE FROM trunkline.candidate c
        WHERE NOT EXISTS (SELECT 1 FROM trunkline.consumer WHERE consumer.id = c.consumer_id)
        RETURNING 1
      )
      SELECT
        (SELECT count(*) FROM rates) AS rates,
        (SELECT count(*) FROM ages)
          + (SELECT count(*) FROM activations)
          + (SELECT count(*) FROM candidates) AS others
      """;

  /**
   * What a claim is told.
   *
   * @param locked whether this transaction has the queue for itself
   * @param epoch of the activation that counts, 0 if there is none
   * @param rate what is left of the rate; empty if there is none
   * @param free how many more may be in flight; empty if any number may
   */
  record Answer(
      boolean locked, boolean singleActive, long epoch, Optional<Rate> rate, OptionalLong free) {

    static Answer of(ResultSet row) throws SQLException {
      double microsPerMessage = row.getDouble("micros_per_message");
      Optional<Rate> rate =
          row.wasNull()
              ? Optional.empty()
              : Optional.of(
                  new Rate(microsPerMessage, row.getInt("rate_burst"), row.getLong("used_micros")));
      long some = row.getLong("free");
      OptionalLong free = row.wasNull() ? OptionalLong.empty() : OptionalLong.of(some);
      return new Answer(
          row.getBoolean("locked"),
          row.getBoolean("single_active"),
          row.getLong("epoch"),
          rate,
          free);
    }
  }

  /**
   * A rate, and for how much longer what was claimed has used it up.
   *
   * <p>A full bucket is one that is not used up at all; each message uses it up for its share of
   * the time.
   */
  record Rate(double microsPerMessage, int burst, long usedMicros) {
    /** How many may be claimed now. */
    long allowed() {
      return (long) Math.max(0, Math.floor(burst - usedMicros / microsPerMessage + 1e-9));
    }

    /** How long until so many may be claimed at once, in microseconds; at most the burst. */
    long microsUntil(long messages) {
      double spare = (burst - Math.min(burst, messages)) * microsPerMessage;
      return (long) Math.max(0, Math.ceil(usedMicros - spare));
    }
  }

  static Optional<Answer> ask(Session session, int queueId, long tallyFrom) {
    return session
        .second(ASK)
        .bind("lock", LOCK)
        .bind("queueId", queueId)
        .bind("tallyFrom", tallyFrom)
        .list(Answer::of)
        .stream()
        .findFirst();
  }

  static void took(Session session, int queueId, int messages) {
    session.statement(TOOK).bind("queueId", queueId).bind("taken", messages).run();
  }

  /** Answers whether there is more to prune. */
  static boolean prune(Session session, int limit) {
    return session
        .relaxed(PRUNE)
        .bind("limit", limit)
        .list(row -> row.getLong("rates") >= limit)
        .get(0);
  }
}
