package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.time.Instant;

/**
 * A place in a topic, in each of its partitions: where a new group begins, or where one is reset
 * to. Immutable and thread-safe. Times are those at which records were appended, by the database's
 * clock.
 */
public sealed interface StartFrom {

  /** The first record that is still there. */
  static StartFrom earliest() {
    return Earliest.INSTANCE;
  }

  /** The end: only what is appended from now on. */
  static StartFrom latest() {
    return Latest.INSTANCE;
  }

  /**
   * This offset in each partition; beyond an end, the end, and before a beginning, the beginning.
   *
   * @param offset zero or more
   */
  static StartFrom offset(long offset) {
    return new Offset(offset);
  }

  /** The first record that was appended at this time or later. */
  static StartFrom timestamp(Instant timestamp) {
    return new Timestamp(timestamp);
  }

  /**
   * The first record that was appended so long ago or later.
   *
   * @param ago zero to 36,500 days
   */
  static StartFrom ago(Duration ago) {
    return new Ago(ago);
  }

  /** See {@link StartFrom#earliest()}. */
  record Earliest() implements StartFrom {
    private static final Earliest INSTANCE = new Earliest();
  }

  /** See {@link StartFrom#latest()}. */
  record Latest() implements StartFrom {
    private static final Latest INSTANCE = new Latest();
  }

  /**
   * See {@link StartFrom#offset(long)}.
   *
   * @param offset zero or more
   */
  record Offset(long offset) implements StartFrom {
    /** Checks the offset. */
    public Offset {
      if (offset < 0) {
        throw new IllegalArgumentException("offset must not be negative: " + offset);
      }
    }
  }

  /**
   * See {@link StartFrom#timestamp(Instant)}.
   *
   * @param timestamp by the database's clock
   */
  record Timestamp(Instant timestamp) implements StartFrom {
    /** Checks that there is one. */
    public Timestamp {
      requireNonNull(timestamp, "timestamp");
    }
  }

  /**
   * See {@link StartFrom#ago(Duration)}.
   *
   * @param ago zero to 36,500 days
   */
  record Ago(Duration ago) implements StartFrom {
    private static final Duration LONGEST = Duration.ofDays(36_500);

    /** Checks the duration. */
    public Ago {
      if (requireNonNull(ago, "ago").isNegative() || ago.compareTo(LONGEST) > 0) {
        throw new IllegalArgumentException("ago must be between zero and 36500 days: " + ago);
      }
    }
  }
}
