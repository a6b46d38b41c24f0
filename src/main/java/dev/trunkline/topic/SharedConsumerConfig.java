package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.Set;

/**
 * How one consumer of a shared group works; others of the same group may differ. Immutable and
 * thread-safe.
 *
 * @param concurrency handlers that run at the same time: 1 to 10,000, default 10
 * @param prefetch most records that are claimed and not handled yet, running ones included:
 *     concurrency to 100,000; default 1,000 or the concurrency, whichever is more. A consumer
 *     claims ahead only about what its handlers finish in a tenth of a second
 * @param prefetchBytes payload bytes of those records together: at least 1, default 16 MiB; one
 *     record is fetched whatever its size
 * @param maxLeaseTime how long a delivery is renewed at most while its handler runs: positive,
 *     default 12 h; then it expires and is delivered again
 * @param nonRetryable exception types, with their subtypes, that send a record to the dead letters
 *     at once; default none
 * @param shutdownTimeout how long {@link SharedConsumer#close()} waits for running handlers: zero
 *     or more, default 30 s
 */
public record SharedConsumerConfig(
    int concurrency,
    int prefetch,
    long prefetchBytes,
    Duration maxLeaseTime,
    Set<Class<? extends Throwable>> nonRetryable,
    Duration shutdownTimeout) {

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

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public SharedConsumerConfig {
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
    if (requireNonNull(maxLeaseTime, "maxLeaseTime").isNegative() || maxLeaseTime.isZero()) {
      throw new IllegalArgumentException("maxLeaseTime must be positive: " + maxLeaseTime);
    }
    if (requireNonNull(shutdownTimeout, "shutdownTimeout").isNegative()) {
      throw new IllegalArgumentException(
          "shutdownTimeout must not be negative: " + shutdownTimeout);
    }
    nonRetryable = Set.copyOf(nonRetryable);
  }

  /** Ten handlers at a time. */
  public static SharedConsumerConfig defaults() {
    return new SharedConsumerConfig(
        DEFAULT_CONCURRENCY,
        DEFAULT_PREFETCH,
        DEFAULT_PREFETCH_BYTES,
        DEFAULT_MAX_LEASE_TIME,
        Set.of(),
        DEFAULT_SHUTDOWN_TIMEOUT);
  }

  /** This configuration with another concurrency, and room for at least as many records. */
  public SharedConsumerConfig withConcurrency(int concurrency) {
    return new SharedConsumerConfig(
        concurrency,
        Math.max(concurrency, prefetch),
        prefetchBytes,
        maxLeaseTime,
        nonRetryable,
        shutdownTimeout);
  }

  /** This configuration with another bound on what is claimed and not handled, in records. */
  public SharedConsumerConfig withPrefetch(int prefetch) {
    return new SharedConsumerConfig(
        concurrency, prefetch, prefetchBytes, maxLeaseTime, nonRetryable, shutdownTimeout);
  }

  /** This configuration with another bound on what is claimed and not handled, in bytes. */
  public SharedConsumerConfig withPrefetchBytes(long prefetchBytes) {
    return new SharedConsumerConfig(
        concurrency, prefetch, prefetchBytes, maxLeaseTime, nonRetryable, shutdownTimeout);
  }

  /** This configuration with another bound on renewing. */
  public SharedConsumerConfig withMaxLeaseTime(Duration maxLeaseTime) {
    return new SharedConsumerConfig(
        concurrency, prefetch, prefetchBytes, maxLeaseTime, nonRetryable, shutdownTimeout);
  }

  /** This configuration with other exception types that are not tried again. */
  public SharedConsumerConfig withNonRetryable(Set<Class<? extends Throwable>> nonRetryable) {
    return new SharedConsumerConfig(
        concurrency, prefetch, prefetchBytes, maxLeaseTime, nonRetryable, shutdownTimeout);
  }

  /** This configuration with another time for running handlers to finish. */
  public SharedConsumerConfig withShutdownTimeout(Duration shutdownTimeout) {
    return new SharedConsumerConfig(
        concurrency, prefetch, prefetchBytes, maxLeaseTime, nonRetryable, shutdownTimeout);
  }

  /** Whether an exception means that trying again is useless. */
  boolean isNonRetryable(Throwable error) {
    return nonRetryable.stream().anyMatch(type -> type.isInstance(error));
  }
}
