package dev.trunkline.message;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.Optional;

/**
 * What a handler decides about a delivery. Immutable and thread-safe.
 *
 * <p>An exception out of the handler means the same as {@link #retry()}.
 */
public sealed interface Outcome {

  /** Done: the message is deleted. */
  static Outcome ack() {
    return Ack.INSTANCE;
  }

  /**
   * Failed: try again after the delay of the queue's retry policy. Counts; at the limit the message
   * is dead.
   */
  static Outcome retry() {
    return Retry.BY_POLICY;
  }

  /**
   * Failed: try again after this delay. Counts; at the limit the message is dead.
   *
   * @param after zero to 365 days
   */
  static Outcome retry(Duration after) {
    return new Retry(Optional.of(after));
  }

  /** Not now, and nobody's fault: back to the end of the line. Does not count. */
  static Outcome release() {
    return Release.AT_ONCE;
  }

  /**
   * Not now, and nobody's fault: back after this delay. Does not count.
   *
   * @param after zero to 365 days
   */
  static Outcome release(Duration after) {
    return new Release(after);
  }

  /**
   * Hopeless: to the dead letters, now.
   *
   * @param detail why, for whoever looks at it later
   */
  static Outcome deadLetter(String detail) {
    return new DeadLetter(detail);
  }

  /** See {@link Outcome#ack()}. */
  record Ack() implements Outcome {
    private static final Ack INSTANCE = new Ack();
  }

  /**
   * See {@link Outcome#retry()}.
   *
   * @param after the delay, or empty for the queue's retry policy
   */
  record Retry(Optional<Duration> after) implements Outcome {
    private static final Retry BY_POLICY = new Retry(Optional.empty());

    /** Checks the delay. */
    public Retry {
      after.ifPresent(delay -> check("after", delay));
    }
  }

  /**
   * See {@link Outcome#release()}.
   *
   * @param after the delay
   */
  record Release(Duration after) implements Outcome {
    private static final Release AT_ONCE = new Release(Duration.ZERO);

    /** Checks the delay. */
    public Release {
      check("after", after);
    }
  }

  /**
   * See {@link Outcome#deadLetter(String)}.
   *
   * @param detail why
   */
  record DeadLetter(String detail) implements Outcome {
    /** Checks that there is a detail, and leaves out what a PostgreSQL text cannot hold. */
    public DeadLetter {
      detail = requireNonNull(detail, "detail").replace("\0", "\\0");
    }
  }

  private static void check(String name, Duration delay) {
    if (requireNonNull(delay, name).isNegative() || delay.compareTo(Duration.ofDays(365)) > 0) {
      throw new IllegalArgumentException(name + " must be between zero and 365 days: " + delay);
    }
  }
}
