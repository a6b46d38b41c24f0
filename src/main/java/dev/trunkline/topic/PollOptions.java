package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * How much one poll answers, and how long it waits. Immutable and thread-safe.
 *
 * @param maxRecords 1 to 10,000, default 500
 * @param maxBytes payload bytes together: at least 1, default 4 MiB; one record is answered
 *     whatever its size
 * @param maxWait how long to wait while there is nothing: zero to 1 h, default 1 s
 */
public record PollOptions(int maxRecords, long maxBytes, Duration maxWait) {

  /** Default of {@link #maxRecords}. */
  public static final int DEFAULT_MAX_RECORDS = 500;

  /** Default of {@link #maxBytes}: 4 MiB. */
  public static final long DEFAULT_MAX_BYTES = 4L * 1024 * 1024;

  /** Default of {@link #maxWait}. */
  public static final Duration DEFAULT_MAX_WAIT = Duration.ofSeconds(1);

  private static final int MOST_RECORDS = 10_000;
  private static final Duration LONGEST_WAIT = Duration.ofHours(1);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public PollOptions {
    if (maxRecords < 1 || maxRecords > MOST_RECORDS) {
      throw new IllegalArgumentException("maxRecords must be between 1 and 10000: " + maxRecords);
    }
    if (maxBytes < 1) {
      throw new IllegalArgumentException("maxBytes must be at least 1: " + maxBytes);
    }
    if (requireNonNull(maxWait, "maxWait").isNegative() || maxWait.compareTo(LONGEST_WAIT) > 0) {
      throw new IllegalArgumentException("maxWait must be between zero and 1 h: " + maxWait);
    }
  }

  /** Up to 500 records and 4 MiB, waiting for a second. */
  public static PollOptions defaults() {
    return new PollOptions(DEFAULT_MAX_RECORDS, DEFAULT_MAX_BYTES, DEFAULT_MAX_WAIT);
  }

  /** These options with another bound on the records. */
  public PollOptions withMaxRecords(int maxRecords) {
    return new PollOptions(maxRecords, maxBytes, maxWait);
  }

  /** These options with another bound on the bytes. */
  public PollOptions withMaxBytes(long maxBytes) {
    return new PollOptions(maxRecords, maxBytes, maxWait);
  }

  /** These options with another wait. */
  public PollOptions withMaxWait(Duration maxWait) {
    return new PollOptions(maxRecords, maxBytes, maxWait);
  }
}
