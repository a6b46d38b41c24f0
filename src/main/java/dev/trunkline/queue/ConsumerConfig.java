package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.internal.work.VisibilityTimeout;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * How one consumer works; other consumers of the same queue may differ. Immutable and thread-safe.
 *
 * @param concurrency handlers that run at the same time: 1 to 10,000, default 10
 * @param prefetch most messages that are claimed and not handled yet, running ones included:
 *     concurrency to 100,000; default 1,000 or the concurrency, whichever is more. A consumer
 *     claims ahead only about what its handlers finish in a tenth of a second
 * @param prefetchBytes payload bytes of those messages together: at least 1, default 16 MiB; one
 *     message is fetched whatever its size
 * @param visibilityTimeout instead of the queue's: 1 ms to 12 h, default empty
 * @param maxLeaseTime how long a delivery is renewed at most while its handler runs: positive,
 *     default 12 h; then it expires and is delivered again
 * @param nonRetryable exception types, with their subtypes, that send a message to the dead letters
 *     at once; default none
 * @param virtualThreads whether handlers run on virtual threads if the virtual machine has them (21
 *     and later), default no
 * @param shutdownTimeout how long {@link Consumer#close()} waits for running handlers: zero or
 *     more, default 30 s
 * @param takeoverPriority on a queue for a single active consumer the one with the highest takes
 *     over, and has an active one with a lower one step down: -1,000 to 1,000, default 0
 */
public record ConsumerConfig(
    int concurrency,
    int prefetch,
    long prefetchBytes,
    Optional<Duration> visibilityTimeout,
    Duration maxLeaseTime,
    Set<Class<? extends Throwable>> nonRetryable,
    boolean virtualThreads,
    Duration shutdownTimeout,
    int takeoverPriority) {

  /** Default of {@link #concurrency}. */
  public static final int DEFAULT_CONCURRENCY = 10;

  /** Default of {@link #prefetch}. */
  public static final int DEFAULT_PREFETCH = 1_000;

  /** Default of {@link #prefetchBytes}: 16 MiB. */
  public static final long DEFAULT_PREFETCH_BYTES = 16L * 1024 * 1024;

  /** Default of {@link #maxLeaseTime}. */
  public static final Duration DEFAULT_MAX_LEASE_TIME = Duration.ofHours(12);

  /** Default of {@link #shutdownTimeout}. */
  public static final Duration DEFAULT_SHUTDOWN_TIMEOUT = Duration.ofSeconds(30);

  private static final int MAX_CONCURRENCY = 10_000;
  private static final int MAX_PREFETCH = 100_000;
  private static final int MAX_TAKEOVER_PRIORITY = 1_000;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public ConsumerConfig {
    if (concurrency < 1 || concurrency > MAX_CONCURRENCY) {
      throw new IllegalArgumentException("concurrency must be between 1 and 10000: " + concurrency);
    }
    if (prefetch < concurrency || prefetch > MAX_PREFETCH) {
      throw new IllegalArgumentException(
          "prefetch must be between concurrency (%d) and 100000: %d"
              .formatted(concurrency, prefetch));
    }
    if (prefetchBytes < 1) {
      throw new IllegalArgumentException("prefetchBytes must be at least 1: " + prefetchBytes);
    }
    requireNonNull(visibilityTimeout, "visibilityTimeout")
        .ifPresent(timeout -> VisibilityTimeout.check("visibilityTimeout", timeout));
    if (requireNonNull(maxLeaseTime, "maxLeaseTime").isNegative() || maxLeaseTime.isZero()) {
      throw new IllegalArgumentException("maxLeaseTime must be positive: " + maxLeaseTime);
    }
    if (requireNonNull(shutdownTimeout, "shutdownTimeout").isNegative()) {
      throw new IllegalArgumentException(
          "shutdownTimeout must not be negative: " + shutdownTimeout);
    }
    nonRetryable = Set.copyOf(nonRetryable);
    if (takeoverPriority < -MAX_TAKEOVER_PRIORITY || takeoverPriority > MAX_TAKEOVER_PRIORITY) {
      throw new IllegalArgumentException(
          "takeoverPriority must be between -1000 and 1000: " + takeoverPriority);
    }
  }

  /** Ten handlers at a time. */
  public static ConsumerConfig defaults() {
    return new ConsumerConfig(
        DEFAULT_CONCURRENCY,
        DEFAULT_PREFETCH,
        DEFAULT_PREFETCH_BYTES,
        Optional.empty(),
        DEFAULT_MAX_LEASE_TIME,
        Set.of(),
        false,
        DEFAULT_SHUTDOWN_TIMEOUT,
        0);
  }

  /** This configuration with another concurrency, and room for at least as many messages. */
  public ConsumerConfig withConcurrency(int concurrency) {
    return new ConsumerConfig(
        concurrency,
        Math.max(concurrency, prefetch),
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with another bound on what is claimed and not handled, in messages. */
  public ConsumerConfig withPrefetch(int prefetch) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with another bound on what is claimed and not handled, in bytes. */
  public ConsumerConfig withPrefetchBytes(long prefetchBytes) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with a visibility timeout of its own. */
  public ConsumerConfig withVisibilityTimeout(Duration visibilityTimeout) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        Optional.of(visibilityTimeout),
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with another bound on renewing. */
  public ConsumerConfig withMaxLeaseTime(Duration maxLeaseTime) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with other exception types that are not tried again. */
  public ConsumerConfig withNonRetryable(Set<Class<? extends Throwable>> nonRetryable) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with handlers on virtual threads, if the virtual machine has them. */
  public ConsumerConfig withVirtualThreads(boolean virtualThreads) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with another time for running handlers to finish. */
  public ConsumerConfig withShutdownTimeout(Duration shutdownTimeout) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** This configuration with another priority among those who may become the active consumer. */
  public ConsumerConfig withTakeoverPriority(int takeoverPriority) {
    return new ConsumerConfig(
        concurrency,
        prefetch,
        prefetchBytes,
        visibilityTimeout,
        maxLeaseTime,
        nonRetryable,
        virtualThreads,
        shutdownTimeout,
        takeoverPriority);
  }

  /** Whether an exception means that trying again is useless. */
  boolean isNonRetryable(Throwable error) {
    return nonRetryable.stream().anyMatch(type -> type.isInstance(error));
  }
}
