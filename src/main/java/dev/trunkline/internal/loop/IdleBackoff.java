package dev.trunkline.internal.loop;

import java.time.Duration;

/**
 * How long to wait between looks: short just after there was something, doubling up to a bound
 * while there is nothing. Not thread-safe.
 */
public final class IdleBackoff {
  private final Duration shortest;
  private final Duration longest;
  private Duration next;

  /** Starts with the shortest wait. */
  public IdleBackoff(Duration shortest, Duration longest) {
    this.shortest = shortest;
    this.longest = longest;
    this.next = shortest;
  }

  /** There was something: the next wait is the shortest. */
  public void reset() {
    next = shortest;
  }

  /** There was nothing: answers the wait, and doubles the one after it. */
  public Duration next() {
    Duration current = next;
    Duration doubled = current.multipliedBy(2);
    next = doubled.compareTo(longest) > 0 ? longest : doubled;
    return current;
  }

  /** Whether the longest wait has been reached. */
  public boolean isIdle() {
    return next.compareTo(longest) >= 0;
  }
}
