package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.Optional;

/**
 * What a queue asks of what is sent to it. Immutable and thread-safe.
 *
 * @param deduplication how messages that have been sent before are recognised; empty, the default,
 *     if they are not
 * @param expiry how long messages live; empty, the default, if as long as it takes
 */
public record SendRules(Optional<Deduplication> deduplication, Optional<Expiry> expiry) {
  private static final SendRules NONE = new SendRules(Optional.empty(), Optional.empty());

  /**
   * Checks the values against each other.
   *
   * @throws IllegalArgumentException if the window of the deduplication is longer than the time to
   *     live: a duplicate would be confirmed with a message that has expired
   */
  public SendRules {
    requireNonNull(deduplication, "deduplication");
    requireNonNull(expiry, "expiry");
    if (deduplication.isPresent() && expiry.isPresent()) {
      Duration window = deduplication.get().window();
      Duration timeToLive = expiry.get().timeToLive();
      if (window.compareTo(timeToLive) > 0) {
        throw new IllegalArgumentException(
            "window of the deduplication must not be longer than timeToLive, %s: %s"
                .formatted(timeToLive, window));
      }
    }
  }

  /** Nothing is asked. */
  public static SendRules none() {
    return NONE;
  }

  /** These rules with this deduplication. */
  public SendRules withDeduplication(Deduplication deduplication) {
    return new SendRules(Optional.of(deduplication), expiry);
  }

  /** These rules with this expiry. */
  public SendRules withExpiry(Expiry expiry) {
    return new SendRules(deduplication, Optional.of(expiry));
  }
}
