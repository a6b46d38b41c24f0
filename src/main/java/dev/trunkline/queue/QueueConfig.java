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
 * @param ordering what keys mean for the order of delivery, default {@link Ordering#none}; cannot
 *     be altered, but for the failure policy
 */
public record QueueConfig(
    Duration visibilityTimeout, RetryPolicy retryPolicy, int maxPayloadBytes, Ordering ordering) {

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
    requireNonNull(ordering, "ordering");
    if (maxPayloadBytes < 1 || maxPayloadBytes > LARGEST_MAX_PAYLOAD_BYTES) {
      throw new IllegalArgumentException(
          "maxPayloadBytes must be between 1 and 268435456: " + maxPayloadBytes);
    }
  }

  /** 30 s visibility timeout, five deliveries with exponential back-off, payloads up to 1 MiB. */
  public static QueueConfig defaults() {
    return new QueueConfig(
        DEFAULT_VISIBILITY_TIMEOUT,
        RetryPolicy.defaults(),
        DEFAULT_MAX_PAYLOAD_BYTES,
        Ordering.none());
  }

  /** This configuration with another visibility timeout. */
  public QueueConfig withVisibilityTimeout(Duration visibilityTimeout) {
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, ordering);
  }

  /** This configuration with another retry policy. */
  public QueueConfig withRetryPolicy(RetryPolicy retryPolicy) {
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, ordering);
  }

  /**
   * This configuration with another limit on failed or lost deliveries; see {@link
   * RetryPolicy#maxDeliveries}.
   */
  public QueueConfig withMaxDeliveries(int maxDeliveries) {
    return withRetryPolicy(retryPolicy.withMaxDeliveries(maxDeliveries));
  }

  /** This configuration with another size limit. */
  public QueueConfig withMaxPayloadBytes(int maxPayloadBytes) {
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, ordering);
  }

  /** This configuration with another meaning of keys. */
  public QueueConfig withOrdering(Ordering ordering) {
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, ordering);
  }

  /** This configuration with strict order by key; see {@link Ordering.FifoByKey}. */
  public QueueConfig withFifoByKey(FailurePolicy failurePolicy) {
    return withOrdering(Ordering.fifoByKey(failurePolicy));
  }

  /** This configuration with keys that take turns; see {@link Ordering.FairByKey}. */
  public QueueConfig withFairByKey() {
    return withOrdering(Ordering.fairByKey());
  }
}
