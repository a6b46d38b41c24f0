package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * How many messages a queue delivers in a time, over all consumers in all processes: in any stretch
 * of time at most {@code burst}, and the rate times that stretch. Immutable and thread-safe.
 *
 * @param messages so many: 1 to 1,000,000
 * @param per in so long: 1 ms to 365 days in whole milliseconds
 * @param burst so many more at once after a pause: 1 to 1,000,000; by default what comes in a tenth
 *     of a second, one at least
 */
public record RateLimit(int messages, Duration per, int burst) {
  private static final int MOST = 1_000_000;
  private static final Duration LONGEST = Duration.ofDays(365);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public RateLimit {
    between("messages", messages);
    if (requireNonNull(per, "per").compareTo(Duration.ofMillis(1)) < 0
        || per.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("per must be between 1 ms and 365 days: " + per);
    }
    per = Duration.ofMillis(per.toMillis());
    between("burst", burst);
  }

  /** So many messages in so long, with the default burst. */
  public static RateLimit of(int messages, Duration per) {
    requireNonNull(per, "per");
    double inTenth = per.toMillis() < 1 ? 1 : messages * 100.0 / per.toMillis();
    return new RateLimit(messages, per, (int) Math.max(1, Math.min(MOST, inTenth)));
  }

  /** This rate with another burst. */
  public RateLimit withBurst(int burst) {
    return new RateLimit(messages, per, burst);
  }

  private static void between(String name, int value) {
    if (value < 1 || value > MOST) {
      throw new IllegalArgumentException(name + " must be between 1 and 1000000: " + value);
    }
  }
}
