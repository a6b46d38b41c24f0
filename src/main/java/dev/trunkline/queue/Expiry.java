package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.message.Message;
import java.time.Duration;
import java.time.temporal.ChronoUnit;

/**
 * How long the messages of a queue live at most. Immutable and thread-safe.
 *
 * @param timeToLive from the sending on, by the database's clock: 1 ms to 3,650 days in whole
 *     milliseconds; a message may ask for less ({@link Message#withTimeToLive})
 * @param expired what becomes of a message whose time is over before it is handled, default {@link
 *     ExpiredMessages#DROP}
 */
public record Expiry(Duration timeToLive, ExpiredMessages expired) {
  private static final Duration LONGEST = Duration.ofDays(3650);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public Expiry {
    requireNonNull(expired, "expired");
    timeToLive = requireNonNull(timeToLive, "timeToLive").truncatedTo(ChronoUnit.MILLIS);
    if (timeToLive.compareTo(LONGEST) > 0 || timeToLive.toMillis() < 1) {
      throw new IllegalArgumentException(
          "timeToLive must be between 1 ms and 3650 days: " + timeToLive);
    }
  }
}
