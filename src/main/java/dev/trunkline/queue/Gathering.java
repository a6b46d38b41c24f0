package dev.trunkline.queue;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * When the next claim is worth its round trip. Consumers that are faster than the senders would
 * claim each batch as it comes, with several statements for a handful of messages: after a claim
 * that took the last of a stream, the next one waits a moment. Thread-safe.
 *
 * <p>A claim that found as much as it asked for is followed by the next one at once, so this never
 * bounds the rate; nor does it hold up the single messages of a queue with little traffic.
 */
final class Gathering {
  /** The longest that a message is held up by this. */
  static final Duration LONGEST = Duration.ofMillis(5);

  /** A claim of fewer messages than this is no sign of a stream. */
  static final int STREAM = 8;

  private final LongSupplier nanoClock;
  private volatile long nextNanos;

  Gathering(LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
    this.nextNanos = nanoClock.getAsLong();
  }

  /**
   * A claim has been made.
   *
   * @param messages how many it got
   * @param partial whether it would have taken more if there had been more
   */
  void claimed(int messages, boolean partial) {
    long now = nanoClock.getAsLong();
    nextNanos = partial && messages >= STREAM ? now + LONGEST.toNanos() : now;
  }

  /** How long the next claim should wait; zero or less if it should not. */
  Duration left() {
    return Duration.ofNanos(nextNanos - nanoClock.getAsLong());
  }
}
