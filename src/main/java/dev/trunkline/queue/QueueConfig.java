package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.internal.work.VisibilityTimeout;
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
 */
public record QueueConfig(
    Duration visibilityTimeout, RetryPolicy retryPolicy, int maxPayloadBytes, SendRules sendRules) {

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
        SendRules.none());
  }

  /** This configuration with another visibility timeout. */
  public QueueConfig withVisibilityTimeout(Duration visibilityTimeout) {
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules);
  }

  /** This configuration with another retry policy. */
  public QueueConfig withRetryPolicy(RetryPolicy retryPolicy) {
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules);
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
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules);
  }

  /** This configuration with other rules for what is sent. */
  public QueueConfig withSendRules(SendRules sendRules) {
    return new QueueConfig(visibilityTimeout, retryPolicy, maxPayloadBytes, sendRules);
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
}
