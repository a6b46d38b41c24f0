package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.internal.work.VisibilityTimeout;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;

/**
 * What all processes agree on about a queue; kept in {@code trunkline.queue}. Immutable and
 * thread-safe.
 *
 * @param visibilityTimeout how long a delivery is hidden from other consumers unless it is settled
 *     or extended: 1 ms to 12 h in whole milliseconds, default 30 s
 * @param retryPolicy when failed and lost deliveries are tried again and given up, default {@link
 *     RetryPolicy#defaults()}
 * @param maxPayloadBytes the largest payload accepted: 1 byte to 256 MiB, default 1 MiB
 * @param sendRules deduplication and expiry, default {@link SendRules#none()}
 * @param flowRules how much may wait, and how fast, by how many and in which order it is delivered,
 *     default {@link FlowRules#none()}
 * @param ordering what keys mean for the order of delivery, default {@link Ordering#none}; cannot
 *     be altered, but for the failure policy. By key a message has no priority, so priorities
 *     cannot age, and {@link Overflow#DROP_OLDEST} is not to be had
 */
public record QueueConfig(
    Duration visibilityTimeout,
    RetryPolicy retryPolicy,
    int maxPayloadBytes,
    SendRules sendRules,
    FlowRules flowRules,
    Ordering ordering) {

  /** Default of {@link #visibilityTimeout}. */
  public static final Duration DEFAULT_VISIBILITY_TIMEOUT = Duration.ofSeconds(30);

  /** Default of {@link #maxPayloadBytes}. */
  public static final int DEFAULT_MAX_PAYLOAD_BYTES = 1024 * 1024;

  private static final int LARGEST_MAX_PAYLOAD_BYTES = 256 * 1024 * 1024;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public QueueConfig {
    visibilityTimeout = VisibilityTimeout.check("visibilityTimeout", visibilityTimeout);
    requireNonNull(retryPolicy, "retryPolicy");
    requireNonNull(sendRules, "sendRules");
    requireNonNull(flowRules, "flowRules");
    requireNonNull(ordering, "ordering");
    if (maxPayloadBytes < 1 || maxPayloadBytes > LARGEST_MAX_PAYLOAD_BYTES) {
      throw new IllegalArgumentException(
          "maxPayloadBytes must be between 1 and 268435456: " + maxPayloadBytes);
    }
    if (ordering.isKeyed()) {
      refuseWhatBreaksOrder(flowRules);
    }
  }

  private static void refuseWhatBreaksOrder(FlowRules rules) {
    rules
        .priorityAgeing()
        .ifPresent(
            ageing -> {
              throw new IllegalArgumentException(
                  "priorityAgeing means nothing in a queue ordered by key, which has no priorities: "
                      + ageing);
            });
    if (rules.bounds().filter(b -> b.overflow() == Overflow.DROP_OLDEST).isPresent()) {
      throw new IllegalArgumentException(
          "overflow must be BLOCK or REJECT in a queue ordered by key, whose messages are not skipped: "
              + Overflow.DROP_OLDEST);
    }
  }

  /** 30 s visibility timeout, five deliveries with exponential back-off, payloads up to 1 MiB. */
  public static QueueConfig defaults() {
    return new QueueConfig(
        DEFAULT_VISIBILITY_TIMEOUT,
        RetryPolicy.defaults(),
        DEFAULT_MAX_PAYLOAD_BYTES,
        SendRules.none(),
        FlowRules.none(),
        Ordering.none());
  }

  /** This configuration with another visibility timeout. */
  public QueueConfig withVisibilityTimeout(Duration visibilityTimeout) {
    return new QueueConfig(
        visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules, flowRules, ordering);
  }

  /** This configuration with another retry policy. */
  public QueueConfig withRetryPolicy(RetryPolicy retryPolicy) {
    return new QueueConfig(
        visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules, flowRules, ordering);
  }

  /**
   * This configuration with another limit on failed or lost deliveries; see {@link
   * RetryPolicy#maxDeliveries}.
   */
  public QueueConfig withMaxDeliveries(int maxDeliveries) {
    return withRetryPolicy(retryPolicy.withMaxDeliveries(maxDeliveries));
  }

  /** This configuration with another meaning of keys. */
  public QueueConfig withOrdering(Ordering ordering) {
    return new QueueConfig(
        visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules, flowRules, ordering);
  }

  /** This configuration with strict order by key; see {@link Ordering.FifoByKey}. */
  public QueueConfig withFifoByKey(FailurePolicy failurePolicy) {
    return withOrdering(Ordering.fifoByKey(failurePolicy));
  }

  /** This configuration with keys that take turns; see {@link Ordering.FairByKey}. */
  public QueueConfig withFairByKey() {
    return withOrdering(Ordering.fairByKey());
  }

  /** This configuration with another size limit. */
  public QueueConfig withMaxPayloadBytes(int maxPayloadBytes) {
    return new QueueConfig(
        visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules, flowRules, ordering);
  }

  /** This configuration with other rules for what is sent. */
  public QueueConfig withSendRules(SendRules sendRules) {
    return new QueueConfig(
        visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules, flowRules, ordering);
  }

  /** This configuration with deduplicated sends: {@link Deduplication#defaults()}. */
  public QueueConfig withDeduplication() {
    return withDeduplication(Deduplication.defaults());
  }

  /**
   * This configuration with deduplicated sends.
   *
   * @throws IllegalArgumentException if the window is longer than the time to live
   */
  public QueueConfig withDeduplication(Deduplication deduplication) {
    return withSendRules(sendRules.withDeduplication(deduplication));
  }

  /**
   * This configuration with a limit on how long messages live; those whose time is over are
   * dropped.
   *
   * @param timeToLive 1 ms to 3,650 days in whole milliseconds
   * @throws IllegalArgumentException if it is out of range, or shorter than the window of the
   *     deduplication
   */
  public QueueConfig withTimeToLive(Duration timeToLive) {
    return withTimeToLive(timeToLive, ExpiredMessages.DROP);
  }

  /**
   * This configuration with a limit on how long messages live.
   *
   * @param timeToLive 1 ms to 3,650 days in whole milliseconds
   * @param expired what becomes of those whose time is over
   * @throws IllegalArgumentException if it is out of range, or shorter than the window of the
   *     deduplication
   */
  public QueueConfig withTimeToLive(Duration timeToLive, ExpiredMessages expired) {
    return withSendRules(sendRules.withExpiry(new Expiry(timeToLive, expired)));
  }

  /** This configuration with other flow rules. */
  public QueueConfig withFlowRules(FlowRules flowRules) {
    return new QueueConfig(
        visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules, flowRules, ordering);
  }

  /**
   * This configuration with a bound on how many messages wait; see {@link Bounds} for the other
   * bound, and for what happens to the one that is too many.
   */
  public QueueConfig withMaxMessages(long maxMessages) {
    return withBounds(
        flowRules
            .bounds()
            .map(bounds -> bounds.withMaxMessages(maxMessages))
            .orElseGet(() -> Bounds.messages(maxMessages)));
  }

  /** This configuration with a bound on how many payload bytes wait; see {@link Bounds}. */
  public QueueConfig withMaxBytes(long maxBytes) {
    return withBounds(
        flowRules
            .bounds()
            .map(bounds -> bounds.withMaxBytes(maxBytes))
            .orElseGet(() -> Bounds.bytes(maxBytes)));
  }

  /** This configuration with bounds on how much waits. */
  public QueueConfig withBounds(Bounds bounds) {
    return withFlowRules(flowRules.withBounds(bounds));
  }

  /** This configuration with a rate over all consumers, and the default burst. */
  public QueueConfig withRateLimit(int messages, Duration per) {
    return withRateLimit(RateLimit.of(messages, per));
  }

  /** This configuration with a rate over all consumers. */
  public QueueConfig withRateLimit(RateLimit rateLimit) {
    return withFlowRules(flowRules.withRateLimit(rateLimit));
  }

  /** This configuration with a cap on what is in flight over all consumers. */
  public QueueConfig withMaxInFlight(int maxInFlight) {
    return withFlowRules(flowRules.withMaxInFlight(maxInFlight));
  }

  /**
   * This configuration with messages that rise by one priority each time they have waited so long.
   */
  public QueueConfig withPriorityAgeing(Duration perLevel) {
    return withFlowRules(flowRules.withPriorityAgeing(perLevel));
  }

  /** This configuration with one consumer at a time, and others that take over. */
  public QueueConfig withSingleActiveConsumer() {
    return withFlowRules(flowRules.withSingleActiveConsumer(true));
  }
}
