package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.retry.FailurePolicy;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * How one member of a group works; other members may differ. Immutable and thread-safe.
 *
 * @param instanceId makes it a static member: closed and started again under the same id within the
 *     session timeout, it has its partitions back and nobody else is disturbed. 1 to 200
 *     characters; default empty
 * @param concurrency handlers that run at the same time, each on a partition of its own: 1 to
 *     1,000, or {@link #AUTO_CONCURRENCY} (0, the default) for ten or the number of partitions,
 *     whichever is less
 * @param pageRecords records read at a time from a partition: 1 to 10,000, default 500
 * @param pageBytes payload bytes read at a time from a partition: at least 1, default 4 MiB. Those
 *     of records that were appended together are taken for equally large; one record is read
 *     whatever its size
 * @param maxPollInterval how long a member that pulls keeps partitions that others wait for without
 *     polling: positive, default 5 min
 * @param nonRetryable exception types, with their subtypes, after which a record is given up at
 *     once, whatever the retry policy says; default none. Without effect where the group's failure
 *     policy is {@link FailurePolicy#BLOCK}, which gives nothing up
 * @param virtualThreads whether handlers run on virtual threads if the virtual machine has them (21
 *     and later), default no
 * @param shutdownTimeout how long {@link Subscription#close()} waits for running handlers: zero or
 *     more, default 30 s
 */
public record MemberConfig(
    Optional<String> instanceId,
    int concurrency,
    int pageRecords,
    long pageBytes,
    Duration maxPollInterval,
    Set<Class<? extends Throwable>> nonRetryable,
    boolean virtualThreads,
    Duration shutdownTimeout) {

  /** The value of {@link #concurrency} that means: ten, or one per partition if they are fewer. */
  public static final int AUTO_CONCURRENCY = 0;

  /** Default of {@link #pageRecords}. */
  public static final int DEFAULT_PAGE_RECORDS = 500;

  /** Default of {@link #pageBytes}: 4 MiB. */
  public static final long DEFAULT_PAGE_BYTES = 4L * 1024 * 1024;

  /** Default of {@link #maxPollInterval}. */
  public static final Duration DEFAULT_MAX_POLL_INTERVAL = Duration.ofMinutes(5);

  /** Default of {@link #shutdownTimeout}. */
  public static final Duration DEFAULT_SHUTDOWN_TIMEOUT = Duration.ofSeconds(30);

  private static final int MAX_CONCURRENCY = 1000;
  private static final int MAX_PAGE_RECORDS = 10_000;
  private static final int MAX_INSTANCE_ID_CHARS = 200;
  private static final int MOST_WORKERS_BY_ITSELF = 10;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public MemberConfig {
    requireNonNull(instanceId, "instanceId")
        .ifPresent(
            id -> {
              if (id.isEmpty() || id.length() > MAX_INSTANCE_ID_CHARS || id.indexOf('\0') >= 0) {
                throw new IllegalArgumentException(
                    "instanceId must be 1 to 200 characters, none of them NUL: \"%s\""
                        .formatted(id));
              }
            });
    if (concurrency < AUTO_CONCURRENCY || concurrency > MAX_CONCURRENCY) {
      throw new IllegalArgumentException(
          "concurrency must be between 1 and 1000, or 0: " + concurrency);
    }
    if (pageRecords < 1 || pageRecords > MAX_PAGE_RECORDS) {
      throw new IllegalArgumentException("pageRecords must be between 1 and 10000: " + pageRecords);
    }
    if (pageBytes < 1) {
      throw new IllegalArgumentException("pageBytes must be at least 1: " + pageBytes);
    }
    if (requireNonNull(maxPollInterval, "maxPollInterval").isNegative()
        || maxPollInterval.isZero()) {
      throw new IllegalArgumentException("maxPollInterval must be positive: " + maxPollInterval);
    }
    if (requireNonNull(shutdownTimeout, "shutdownTimeout").isNegative()) {
      throw new IllegalArgumentException(
          "shutdownTimeout must not be negative: " + shutdownTimeout);
    }
    nonRetryable = Set.copyOf(nonRetryable);
  }

  /** A member that takes what it is given, up to ten partitions at a time. */
  public static MemberConfig defaults() {
    return new MemberConfig(
        Optional.empty(),
        AUTO_CONCURRENCY,
        DEFAULT_PAGE_RECORDS,
        DEFAULT_PAGE_BYTES,
        DEFAULT_MAX_POLL_INTERVAL,
        Set.of(),
        false,
        DEFAULT_SHUTDOWN_TIMEOUT);
  }

  /** This configuration for a static member. */
  public MemberConfig withInstanceId(String instanceId) {
    return new MemberConfig(
        Optional.of(instanceId),
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  /** This configuration with another concurrency. */
  public MemberConfig withConcurrency(int concurrency) {
    return new MemberConfig(
        instanceId,
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  /** This configuration with another bound on what is read at a time, in records. */
  public MemberConfig withPageRecords(int pageRecords) {
    return new MemberConfig(
        instanceId,
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  /** This configuration with another bound on what is read at a time, in bytes. */
  public MemberConfig withPageBytes(long pageBytes) {
    return new MemberConfig(
        instanceId,
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  /** This configuration with another patience for a member that does not poll. */
  public MemberConfig withMaxPollInterval(Duration maxPollInterval) {
    return new MemberConfig(
        instanceId,
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  /** This configuration with other exception types that are not tried again. */
  public MemberConfig withNonRetryable(Set<Class<? extends Throwable>> nonRetryable) {
    return new MemberConfig(
        instanceId,
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  /** This configuration with handlers on virtual threads, or not. */
  public MemberConfig withVirtualThreads(boolean virtualThreads) {
    return new MemberConfig(
        instanceId,
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  /** This configuration with another patience for running handlers. */
  public MemberConfig withShutdownTimeout(Duration shutdownTimeout) {
    return new MemberConfig(
        instanceId,
        concurrency,
        pageRecords,
        pageBytes,
        maxPollInterval,
        nonRetryable,
        virtualThreads,
        shutdownTimeout);
  }

  boolean isNonRetryable(Throwable error) {
    return nonRetryable.stream().anyMatch(type -> type.isInstance(error));
  }

  /** How many workers a member of a topic with so many partitions has. */
  int workers(int partitions) {
    return concurrency == AUTO_CONCURRENCY
        ? Math.min(partitions, MOST_WORKERS_BY_ITSELF)
        : Math.min(partitions, concurrency);
  }
}
