package dev.trunkline.internal.work;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.time.temporal.ChronoUnit;

/** The range of visibility timeouts. */
public final class VisibilityTimeout {
  private static final Duration SHORTEST = Duration.ofMillis(1);
  private static final Duration LONGEST = Duration.ofHours(12);

  private VisibilityTimeout() {}

  /** Answers it in whole milliseconds, as it is stored. */
  public static Duration check(String name, Duration value) {
    requireNonNull(value, name);
    if (value.compareTo(SHORTEST) < 0 || value.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(name + " must be between 1 ms and 12 h: " + value);
    }
    return value.truncatedTo(ChronoUnit.MILLIS);
  }
}
