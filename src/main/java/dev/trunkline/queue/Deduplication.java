package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.time.temporal.ChronoUnit;

/**
 * How a queue recognises a message that has been sent before. Immutable and thread-safe.
 *
 * <p>A duplicate is a message with the deduplication id of one that was sent within the window,
 * whatever else is in it. Sending it succeeds, stores nothing, and answers the id of the first.
 *
 * @param window how long an id is remembered, from the first send on, whatever becomes of that
 *     message: 1 ms to 365 days in whole milliseconds, default 5 min
 * @param scope within what ids have to be unique, default {@link DeduplicationScope#QUEUE}
 * @param byContent whether a message that was given no id has one made of its type, content type
 *     and payload (headers and priority do not count), default false: it is never a duplicate
 */
public record Deduplication(Duration window, DeduplicationScope scope, boolean byContent) {
  /** Default of {@link #window}. */
  public static final Duration DEFAULT_WINDOW = Duration.ofMinutes(5);

  private static final Duration LONGEST_WINDOW = Duration.ofDays(365);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public Deduplication {
    requireNonNull(scope, "scope");
    window = requireNonNull(window, "window").truncatedTo(ChronoUnit.MILLIS);
    if (window.compareTo(LONGEST_WINDOW) > 0 || window.toMillis() < 1) {
      throw new IllegalArgumentException("window must be between 1 ms and 365 days: " + window);
    }
  }

  /** Ids of the whole queue, remembered for 5 minutes. */
  public static Deduplication defaults() {
    return new Deduplication(DEFAULT_WINDOW, DeduplicationScope.QUEUE, false);
  }

  /** This with another window. */
  public Deduplication withWindow(Duration window) {
    return new Deduplication(window, scope, byContent);
  }

  /** This with another scope. */
  public Deduplication withScope(DeduplicationScope scope) {
    return new Deduplication(window, scope, byContent);
  }

  /** This, with ids made of the content for messages that were given none. */
  public Deduplication withByContent(boolean byContent) {
    return new Deduplication(window, scope, byContent);
  }
}
