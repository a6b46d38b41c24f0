package dev.trunkline.metrics;

import static java.util.Objects.requireNonNull;

import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import java.time.Duration;

/**
 * How metrics are read. Immutable and thread-safe.
 *
 * @param maxAge how old values may be: the database is asked at most so often; zero to 1 h, default
 *     1 s
 * @param maxWait how long a scrape waits for the database, all its meters together, before its
 *     values are unknown: 1 ms to 1 min, default 2 s
 * @param tags what all meters are tagged with besides their own tags, default nothing
 */
public record MetricsConfig(Duration maxAge, Duration maxWait, Tags tags) {
  /** Default of {@link #maxAge}. */
  public static final Duration DEFAULT_MAX_AGE = Duration.ofSeconds(1);

  /** Default of {@link #maxWait}. */
  public static final Duration DEFAULT_MAX_WAIT = Duration.ofSeconds(2);

  private static final Duration OLDEST = Duration.ofHours(1);
  private static final Duration SHORTEST_WAIT = Duration.ofMillis(1);
  private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public MetricsConfig {
    if (requireNonNull(maxAge, "maxAge").isNegative() || maxAge.compareTo(OLDEST) > 0) {
      throw new IllegalArgumentException("maxAge must be between zero and 1 h: " + maxAge);
    }
    if (requireNonNull(maxWait, "maxWait").compareTo(SHORTEST_WAIT) < 0
        || maxWait.compareTo(LONGEST_WAIT) > 0) {
      throw new IllegalArgumentException("maxWait must be between 1 ms and 1 min: " + maxWait);
    }
    requireNonNull(tags, "tags");
  }

  /** Values up to a second old, waits up to two, no tags. */
  public static MetricsConfig defaults() {
    return new MetricsConfig(DEFAULT_MAX_AGE, DEFAULT_MAX_WAIT, Tags.empty());
  }

  /** This configuration with another age that values may have. */
  public MetricsConfig withMaxAge(Duration maxAge) {
    return new MetricsConfig(maxAge, maxWait, tags);
  }

  /** This configuration with another time that a scrape waits. */
  public MetricsConfig withMaxWait(Duration maxWait) {
    return new MetricsConfig(maxAge, maxWait, tags);
  }

  /** This configuration with other tags for all meters. */
  public MetricsConfig withTags(Iterable<Tag> tags) {
    return new MetricsConfig(maxAge, maxWait, Tags.of(tags));
  }
}
