package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * Whether a topic keeps only the newest record of each key, as a background step makes it so.
 * Offsets stay, records without a key stay. Immutable and thread-safe.
 *
 * @param enabled default no
 * @param lag how long a record stays whatever follows it: 0 to 365 days, default 0
 * @param tombstoneRetention how long a tombstone stays once it is the newest of its key, for
 *     readers to see it: 0 to 365 days, default 24 h
 */
public record Compaction(boolean enabled, Duration lag, Duration tombstoneRetention) {
  private static final Duration DEFAULT_TOMBSTONE_RETENTION = Duration.ofHours(24);
  private static final Duration LONGEST = Duration.ofDays(365);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public Compaction {
    lag = checked("lag", lag);
    tombstoneRetention = checked("tombstoneRetention", tombstoneRetention);
    if (!enabled) {
      lag = Duration.ZERO;
      tombstoneRetention = DEFAULT_TOMBSTONE_RETENTION;
    }
  }

  /** No compaction. */
  public static Compaction off() {
    return new Compaction(false, Duration.ZERO, DEFAULT_TOMBSTONE_RETENTION);
  }

  /** Compaction as soon as it may be; tombstones stay for 24 h. */
  public static Compaction on() {
    return new Compaction(true, Duration.ZERO, DEFAULT_TOMBSTONE_RETENTION);
  }

  /** This compaction with another lag. */
  public Compaction withLag(Duration lag) {
    return new Compaction(enabled, lag, tombstoneRetention);
  }

  /** This compaction with another life of tombstones. */
  public Compaction withTombstoneRetention(Duration tombstoneRetention) {
    return new Compaction(enabled, lag, tombstoneRetention);
  }

  private static Duration checked(String name, Duration value) {
    if (requireNonNull(value, name).isNegative() || value.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(
          "%s must be between zero and 365 days: %s".formatted(name, value));
    }
    return Duration.ofMillis(value.toMillis());
  }
}
