package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * When the table that a topic writes to is closed and the next one begun. Retention drops whole
 * ones, so smaller ones mean that records go sooner, larger ones that there are fewer tables.
 * Immutable and thread-safe.
 *
 * @param age 1 s to 365 days, or {@link #AUTO_AGE}: a tenth of the retention's age, at most a day
 * @param bytes 1 MiB and up, with indexes, or {@link #AUTO_BYTES}: a tenth of the retention's
 *     bytes, at most 256 MiB
 */
public record Chunks(Duration age, long bytes) {
  /** As the retention asks for. */
  public static final Duration AUTO_AGE = Duration.ZERO;

  /** As the retention asks for. */
  public static final long AUTO_BYTES = 0;

  private static final Duration LONGEST = Duration.ofDays(365);
  private static final Duration LONGEST_AUTO = Duration.ofDays(1);
  private static final Duration SHORTEST = Duration.ofSeconds(1);
  private static final long FEWEST_BYTES = 1024 * 1024;
  private static final long MOST_AUTO_BYTES = 256L * 1024 * 1024;
  private static final int SHARE = 10;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public Chunks {
    requireNonNull(age, "age");
    if (!age.equals(AUTO_AGE) && (age.compareTo(SHORTEST) < 0 || age.compareTo(LONGEST) > 0)) {
      throw new IllegalArgumentException(
          "age must be between 1 s and 365 days, or AUTO_AGE: " + age);
    }
    age = Duration.ofMillis(age.toMillis());
    if (bytes != AUTO_BYTES && bytes < FEWEST_BYTES) {
      throw new IllegalArgumentException("bytes must be 1048576 or more, or AUTO_BYTES: " + bytes);
    }
  }

  /** As the retention asks for. */
  public static Chunks auto() {
    return new Chunks(AUTO_AGE, AUTO_BYTES);
  }

  /** The age at which a chunk is closed. */
  Duration ageFor(Retention retention) {
    if (!age.equals(AUTO_AGE)) {
      return age;
    }
    if (retention.age().equals(Retention.FOREVER)) {
      return LONGEST_AUTO;
    }
    Duration share = retention.age().dividedBy(SHARE);
    return share.compareTo(SHORTEST) < 0
        ? SHORTEST
        : share.compareTo(LONGEST_AUTO) > 0 ? LONGEST_AUTO : share;
  }

  /** The bytes at which a chunk is closed. */
  long bytesFor(Retention retention) {
    if (bytes != AUTO_BYTES) {
      return bytes;
    }
    if (retention.bytes() == Retention.UNLIMITED) {
      return MOST_AUTO_BYTES;
    }
    return Math.min(MOST_AUTO_BYTES, Math.max(FEWEST_BYTES, retention.bytes() / SHARE));
  }
}
