package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Statements on {@code trunkline.queue}: declare, find, alter, pause, delete. None of them is hot.
 */
final class QueueStore {
  private QueueStore() {}

  /**
   * Inserts the queue unless its name is taken; the partial unique index on living names decides
   * between two processes. Dead letters of an earlier queue of that name are counted as this one's.
   */
  private static final String DECLARE =
      """
      WITH declared AS (
        INSERT INTO trunkline.queue (
          name, visibility_timeout, max_deliveries, retry_initial_delay, retry_max_delay, retry_multiplier,
          retry_jitter, max_payload_bytes, dedup_window, dedup_scope, dedup_by_content, time_to_live,
          expired_messages,
          max_messages, max_bytes, overflow, max_wait, pressure_at, rate_messages,
          rate_period, rate_burst, max_in_flight, priority_ageing, single_active, ordering, failure_policy)
        VALUES (
          :name,
          :visibilityTimeoutMs * interval '1 millisecond',
          nullif(:maxDeliveries, -1),
          :retryInitialDelayMs * interval '1 millisecond',
          :retryMaxDelayMs * interval '1 millisecond',
          :retryMultiplier,
          :retryJitter,
          :maxPayloadBytes,
          nullif(:dedupWindowMs, -1) * interval '1 millisecond',
          nullif(:dedupScope, ''),
          CASE WHEN :dedupWindowMs <> -1 THEN :dedupByContent END,
          nullif(:timeToLiveMs, -1) * interval '1 millisecond',
          nullif(:expiredMessages, ''),
          nullif(:maxMessages, -1),
          nullif(:maxBytes, -1),
          nullif(:overflow, ''),
          nullif(:maxWaitMs, -1) * interval '1 millisecond',
          nullif(:pressureAt, -1),
          nullif(:rateMessages, -1),
          nullif(:ratePeriodMs, -1) * interval '1 millisecond',
          nullif(:rateBurst, -1),
          nullif(:maxInFlight, -1),
          nullif(:priorityAgeingMs, -1) * interval '1 millisecond',
          :singleActive,
          nullif(:ordering, ''),
          nullif(:failurePolicy, ''))
        ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
        RETURNING id
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, dead)
        SELECT declared.id, count(*)
        FROM declared
        JOIN trunkline.dead_letter ON dead_letter.queue = :name
        GROUP BY declared.id
      )
      SELECT id FROM declared
      """;

  /** What a {@link QueueRow} is read from. */
  private static final String SELECT =
      """
      SELECT
        id,
        name,
        (extract(epoch FROM visibility_timeout) * 1000)::bigint AS visibility_timeout_ms,
        max_deliveries,
        (extract(epoch FROM retry_initial_delay) * 1000)::bigint AS retry_initial_delay_ms,
        (extract(epoch FROM retry_max_delay) * 1000)::bigint AS retry_max_delay_ms,
        retry_multiplier,
        retry_jitter,
        max_payload_bytes,
        (extract(epoch FROM dedup_window) * 1000)::bigint AS dedup_window_ms,
        dedup_scope,
        dedup_by_content,
        (extract(epoch FROM time_to_live) * 1000)::bigint AS time_to_live_ms,
        expired_messages,
        max_messages,
        max_bytes,
        overflow,
        (extract(epoch FROM max_wait) * 1000)::bigint AS max_wait_ms,
        pressure_at,
        rate_messages,
        (extract(epoch FROM rate_period) * 1000)::bigint AS rate_period_ms,
        rate_burst,
        max_in_flight,
        (extract(epoch FROM priority_ageing) * 1000)::bigint AS priority_ageing_ms,
        single_active,
        ordering,
        failure_policy,
        paused
      FROM trunkline.queue
      """;

  private static final String FIND =
      SELECT
          + """
          WHERE name = :name AND deleted_at IS NULL
          """;

  /**
   * By id, for the maintenance: it handles queues that this process never declared, and deleted
   * ones.
   */
  private static final String FIND_BY_ID =
      SELECT
          + """
          WHERE id = :id
          """;

  private static final String NAMES =
      """
      SELECT name
      FROM trunkline.queue
      WHERE deleted_at IS NULL
      ORDER BY name
      """;

  /**
   * What keys mean stays as it is: senders everywhere have stored by it. If the rate changes, what
   * the old one has used up counts no longer than it takes to fill a bucket at the new one.
   */
  private static final String ALTER =
      """
      WITH refilled AS (
        INSERT INTO trunkline.rate_mark (queue_id, used_until)
        SELECT
          q.id,
          least(last.used_until, clock_timestamp() + :rateBurst * :ratePeriodMs * interval '1 millisecond' / :rateMessages)
        FROM trunkline.queue q
        CROSS JOIN LATERAL (
          SELECT r.used_until
          FROM trunkline.rate_mark r
          WHERE r.queue_id = q.id
          ORDER BY r.id DESC
          LIMIT 1) last
        WHERE q.name = :name
          AND q.deleted_at IS NULL
          AND q.ordering IS NOT DISTINCT FROM nullif(:ordering, '')
          AND :rateMessages > 0
          AND (q.rate_messages, q.rate_burst, q.rate_period) IS DISTINCT FROM
            (:rateMessages, :rateBurst, :ratePeriodMs * interval '1 millisecond')
      )
      UPDATE trunkline.queue
      SET
        visibility_timeout = :visibilityTimeoutMs * interval '1 millisecond',
        max_deliveries = nullif(:maxDeliveries, -1),
        retry_initial_delay = :retryInitialDelayMs * interval '1 millisecond',
        retry_max_delay = :retryMaxDelayMs * interval '1 millisecond',
        retry_multiplier = :retryMultiplier,
        retry_jitter = :retryJitter,
        max_payload_bytes = :maxPayloadBytes,
        dedup_window = nullif(:dedupWindowMs, -1) * interval '1 millisecond',
        dedup_scope = nullif(:dedupScope, ''),
        dedup_by_content = CASE WHEN :dedupWindowMs <> -1 THEN :dedupByContent END,
        time_to_live = nullif(:timeToLiveMs, -1) * interval '1 millisecond',
        expired_messages = nullif(:expiredMessages, ''),
        max_messages = nullif(:maxMessages, -1),
        max_bytes = nullif(:maxBytes, -1),
        overflow = nullif(:overflow, ''),
        max_wait = nullif(:maxWaitMs, -1) * interval '1 millisecond',
        pressure_at = nullif(:pressureAt, -1),
        rate_messages = nullif(:rateMessages, -1),
        rate_period = nullif(:ratePeriodMs, -1) * interval '1 millisecond',
        rate_burst = nullif(:rateBurst, -1),
        max_in_flight = nullif(:maxInFlight, -1),
        priority_ageing = nullif(:priorityAgeingMs, -1) * interval '1 millisecond',
        single_active = :singleActive,
        failure_policy = nullif(:failurePolicy, '')
      WHERE name = :name AND deleted_at IS NULL AND ordering IS NOT DISTINCT FROM nullif(:ordering, '')
      RETURNING id
      """;

  /** Claims read the flag in the same statement: after this commits, nothing more is delivered. */
  private static final String PAUSE =
      """
      UPDATE trunkline.queue
      SET paused = :paused
      WHERE id = :id AND deleted_at IS NULL
      RETURNING id
      """;

  /**
   * Frees the name at once; the row stays until the maintenance has removed what late senders add.
   */
  private static final String DELETE =
      """
      UPDATE trunkline.queue
      SET deleted_at = now()
      WHERE id = :id AND deleted_at IS NULL
      RETURNING id
      """;

  /**
   * Queues deleted so recently that a sender's transaction from before may still be open somewhere.
   */
  private static final String DELETED =
      """
      SELECT id
      FROM trunkline.queue
      WHERE deleted_at IS NOT NULL
      ORDER BY deleted_at
      LIMIT 100
      """;

  /** After a day the tombstone goes, if nothing was left to remove. */
  private static final String FORGET =
      """
      WITH forgotten AS (
        DELETE FROM trunkline.queue
        WHERE id = :id AND deleted_at < now() - interval '1 day'
        RETURNING id
      ), counts AS (
        DELETE FROM trunkline.tally
        WHERE queue_id = ANY (ARRAY(SELECT id FROM forgotten))
      ), rates AS (
        DELETE FROM trunkline.rate_mark
        WHERE queue_id = ANY (ARRAY(SELECT id FROM forgotten))
      ), ages AS (
        DELETE FROM trunkline.age_mark
        WHERE queue_id = ANY (ARRAY(SELECT id FROM forgotten))
      ), candidates AS (
        DELETE FROM trunkline.candidate
        WHERE queue_id = ANY (ARRAY(SELECT id FROM forgotten))
      ), activations AS (
        DELETE FROM trunkline.activation
        WHERE queue_id = ANY (ARRAY(SELECT id FROM forgotten))
      )
      SELECT id FROM forgotten
      """;

  static boolean declare(Session session, QueueName name, QueueConfig config) {
    return !bound(session.statement(DECLARE), name, config).list(row -> row.getInt(1)).isEmpty();
  }

  static boolean alter(Session session, QueueName name, QueueConfig config) {
    return !bound(session.statement(ALTER), name, config).list(row -> row.getInt(1)).isEmpty();
  }

  static Optional<QueueRow> find(Session session, QueueName name) {
    return session.statement(FIND).bind("name", name.value()).list(QueueRow::of).stream()
        .findFirst();
  }

  static Optional<QueueRow> find(Session session, int id) {
    return session.statement(FIND_BY_ID).bind("id", id).list(QueueRow::of).stream().findFirst();
  }

  static List<String> names(Session session) {
    return session.statement(NAMES).list(row -> row.getString(1));
  }

  static boolean pause(Session session, int id, boolean paused) {
    return !session
        .statement(PAUSE)
        .bind("id", id)
        .bind("paused", paused)
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  static boolean delete(Session session, int id) {
    return !session.statement(DELETE).bind("id", id).list(row -> row.getInt(1)).isEmpty();
  }

  static List<Integer> deleted(Session session) {
    return session.statement(DELETED).list(row -> row.getInt(1));
  }

  static void forget(Session session, int id) {
    session.statement(FORGET).bind("id", id).run();
  }

  private static Session.Rows bound(Session.Rows statement, QueueName name, QueueConfig config) {
    Optional<Deduplication> deduplication = config.sendRules().deduplication();
    Optional<Expiry> expiry = config.sendRules().expiry();
    return flowRules(statement, config.flowRules())
        .bind("name", name.value())
        .bind("visibilityTimeoutMs", config.visibilityTimeout().toMillis())
        .bind("maxDeliveries", config.retryPolicy().maxDeliveries())
        .bind("retryInitialDelayMs", config.retryPolicy().initialDelay().toMillis())
        .bind("retryMaxDelayMs", config.retryPolicy().maxDelay().toMillis())
        .bind("retryMultiplier", config.retryPolicy().multiplier())
        .bind("retryJitter", config.retryPolicy().jitter().name())
        .bind("maxPayloadBytes", config.maxPayloadBytes())
        .bind("dedupWindowMs", deduplication.map(d -> d.window().toMillis()).orElse(-1L))
        .bind("dedupScope", deduplication.map(d -> d.scope().name()).orElse(""))
        .bind("dedupByContent", deduplication.map(Deduplication::byContent).orElse(false))
        .bind("timeToLiveMs", expiry.map(e -> e.timeToLive().toMillis()).orElse(-1L))
        .bind("expiredMessages", expiry.map(e -> e.expired().name()).orElse(""))
        .bind("ordering", ordering(config.ordering()))
        .bind("failurePolicy", failurePolicy(config.ordering()));
  }

  private static String ordering(Ordering ordering) {
    if (ordering.isFifo()) {
      return "FIFO";
    }
    return ordering.isKeyed() ? "FAIR" : "";
  }

  private static String failurePolicy(Ordering ordering) {
    return ordering instanceof Ordering.FifoByKey fifo ? fifo.failurePolicy().name() : "";
  }

  private static Session.Rows flowRules(Session.Rows statement, FlowRules rules) {
    return statement
        .bind("maxMessages", rules.bounds().map(b -> b.maxMessages().orElse(-1)).orElse(-1L))
        .bind("maxBytes", rules.bounds().map(b -> b.maxBytes().orElse(-1)).orElse(-1L))
        .bind("overflow", rules.bounds().map(b -> b.overflow().name()).orElse(""))
        .bind("maxWaitMs", rules.bounds().map(b -> b.maxWait().toMillis()).orElse(-1L))
        .bind("pressureAt", rules.bounds().map(Bounds::pressureAt).orElse(-1.0))
        .bind("rateMessages", rules.rateLimit().map(RateLimit::messages).orElse(-1))
        .bind("ratePeriodMs", rules.rateLimit().map(r -> r.per().toMillis()).orElse(-1L))
        .bind("rateBurst", rules.rateLimit().map(RateLimit::burst).orElse(-1))
        .bind("maxInFlight", rules.maxInFlight().orElse(-1))
        .bind("priorityAgeingMs", rules.priorityAgeing().map(Duration::toMillis).orElse(-1L))
        .bind("singleActive", rules.singleActiveConsumer());
  }
}
