package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.OptionalLong;

/**
 * How much may wait in a queue, ready or scheduled; what is in flight does not count. Immutable and
 * thread-safe.
 *
 * @param maxMessages most messages that wait: at least 1; empty for any number
 * @param maxBytes most payload bytes that wait: at least 1; empty for any number
 * @param overflow what happens when there is no room, default {@link Overflow#BLOCK}
 * @param maxWait how long a sender waits for room, with {@link Overflow#BLOCK}: zero to 1 h in
 *     whole milliseconds, default 60 s
 * @param pressureAt the share of a bound from which on the queue is said to be under pressure:
 *     above 0, up to 1, default 0.8
 */
public record Bounds(
    OptionalLong maxMessages,
    OptionalLong maxBytes,
    Overflow overflow,
    Duration maxWait,
    double pressureAt) {

  /** Default of {@link #maxWait}. */
  public static final Duration DEFAULT_MAX_WAIT = Duration.ofSeconds(60);

  /** Default of {@link #pressureAt}. */
  public static final double DEFAULT_PRESSURE_AT = 0.8;

  private static final Duration LONGEST_WAIT = Duration.ofHours(1);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public Bounds {
    requireNonNull(maxMessages, "maxMessages").ifPresent(max -> atLeastOne("maxMessages", max));
    requireNonNull(maxBytes, "maxBytes").ifPresent(max -> atLeastOne("maxBytes", max));
    if (maxMessages.isEmpty() && maxBytes.isEmpty()) {
      throw new IllegalArgumentException(
          "maxMessages or maxBytes must be given: %s, %s".formatted(maxMessages, maxBytes));
    }
    requireNonNull(overflow, "overflow");
    if (requireNonNull(maxWait, "maxWait").isNegative() || maxWait.compareTo(LONGEST_WAIT) > 0) {
      throw new IllegalArgumentException("maxWait must be between zero and 1 h: " + maxWait);
    }
    maxWait = Duration.ofMillis(maxWait.toMillis());
    if (!(pressureAt > 0 && pressureAt <= 1)) {
      throw new IllegalArgumentException("pressureAt must be above 0 and up to 1: " + pressureAt);
    }
  }

  /** At most so many messages; senders wait for room. */
  public static Bounds messages(long maxMessages) {
    return new Bounds(
        OptionalLong.of(maxMessages),
        OptionalLong.empty(),
        Overflow.BLOCK,
        DEFAULT_MAX_WAIT,
        DEFAULT_PRESSURE_AT);
  }

  /** At most so many payload bytes; senders wait for room. */
  public static Bounds bytes(long maxBytes) {
    return new Bounds(
        OptionalLong.empty(),
        OptionalLong.of(maxBytes),
        Overflow.BLOCK,
        DEFAULT_MAX_WAIT,
        DEFAULT_PRESSURE_AT);
  }

  /** These bounds with another number of messages. */
  public Bounds withMaxMessages(long maxMessages) {
    return new Bounds(OptionalLong.of(maxMessages), maxBytes, overflow, maxWait, pressureAt);
  }

  /** These bounds with another number of bytes. */
  public Bounds withMaxBytes(long maxBytes) {
    return new Bounds(maxMessages, OptionalLong.of(maxBytes), overflow, maxWait, pressureAt);
  }

  /** These bounds with another way to overflow. */
  public Bounds withOverflow(Overflow overflow) {
    return new Bounds(maxMessages, maxBytes, overflow, maxWait, pressureAt);
  }

  /** These bounds with another time that senders wait for room. */
  public Bounds withMaxWait(Duration maxWait) {
    return new Bounds(maxMessages, maxBytes, overflow, maxWait, pressureAt);
  }

  /** These bounds with pressure from another share on. */
  public Bounds withPressureAt(double pressureAt) {
    return new Bounds(maxMessages, maxBytes, overflow, maxWait, pressureAt);
  }

  /** How full a queue is with so much waiting: 1 is full. */
  double fullness(Depth depth) {
    double fullest = 0;
    if (maxMessages.isPresent()) {
      fullest = (double) depth.messages() / maxMessages.getAsLong();
    }
    if (maxBytes.isPresent()) {
      fullest = Math.max(fullest, (double) depth.bytes() / maxBytes.getAsLong());
    }
    return fullest;
  }

  /** What is too much, if so much waits. */
  Depth excess(Depth depth) {
    return new Depth(
        Math.max(0, depth.messages() - maxMessages.orElse(Long.MAX_VALUE)),
        Math.max(0, depth.bytes() - maxBytes.orElse(Long.MAX_VALUE)));
  }

  private static void atLeastOne(String name, long value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1: " + value);
    }
  }
}
