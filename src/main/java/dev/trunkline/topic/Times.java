package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Instant;

/** Instants as PostgreSQL keeps them: whole microseconds since 1970. */
final class Times {
  private static final Instant EARLIEST = Instant.parse("0001-01-01T00:00:00Z");
  private static final Instant LATEST = Instant.parse("9999-12-31T00:00:00Z");

  private Times() {}

  /**
   * Rounded up, so that what happened at this instant is not before it.
   *
   * @throws IllegalArgumentException if it is not between the years 1 and 9999
   */
  static long micros(String argument, Instant instant) {
    requireNonNull(instant, argument);
    if (instant.isBefore(EARLIEST) || instant.isAfter(LATEST)) {
      throw new IllegalArgumentException(
          "%s must be between the years 1 and 9999: %s".formatted(argument, instant));
    }
    Instant up = instant.plusNanos(999);
    return up.getEpochSecond() * 1_000_000 + up.getNano() / 1_000;
  }
}
