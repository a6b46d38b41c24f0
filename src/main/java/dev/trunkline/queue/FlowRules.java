package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * How much may wait in a queue, and how fast, by how many and in which order it is delivered.
 * Immutable and thread-safe.
 *
 * @param bounds how much may wait, default any amount
 * @param rateLimit how fast it is delivered, default as fast as it is handled
 * @param maxInFlight most messages that are claimed and not settled, over all consumers: at least
 *     1, default any number. Messages that are claimed at most once are never in flight
 * @param priorityAgeing how long a message waits to rise by one priority: 1 s to 365 days in whole
 *     milliseconds; default never: priorities are strict
 * @param singleActiveConsumer whether one consumer at a time has the queue for itself, default no
 */
public record FlowRules(
    Optional<Bounds> bounds,
    Optional<RateLimit> rateLimit,
    OptionalInt maxInFlight,
    Optional<Duration> priorityAgeing,
    boolean singleActiveConsumer) {

  private static final Duration LONGEST_AGEING = Duration.ofDays(365);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public FlowRules {
    requireNonNull(bounds, "bounds");
    requireNonNull(rateLimit, "rateLimit");
    requireNonNull(maxInFlight, "maxInFlight")
        .ifPresent(
            most -> {
              if (most < 1) {
                throw new IllegalArgumentException("maxInFlight must be at least 1: " + most);
              }
            });
    requireNonNull(priorityAgeing, "priorityAgeing").ifPresent(FlowRules::checkAgeing);
    priorityAgeing = priorityAgeing.map(ageing -> Duration.ofMillis(ageing.toMillis()));
  }

  /** Any amount, as fast as it is handled, by any number of consumers, strictly by priority. */
  public static FlowRules none() {
    return new FlowRules(
        Optional.empty(), Optional.empty(), OptionalInt.empty(), Optional.empty(), false);
  }

  /** These rules with bounds. */
  public FlowRules withBounds(Bounds bounds) {
    return new FlowRules(
        Optional.of(bounds), rateLimit, maxInFlight, priorityAgeing, singleActiveConsumer);
  }

  /** These rules with a rate limit. */
  public FlowRules withRateLimit(RateLimit rateLimit) {
    return new FlowRules(
        bounds, Optional.of(rateLimit), maxInFlight, priorityAgeing, singleActiveConsumer);
  }

  /** These rules with a cap on what is in flight. */
  public FlowRules withMaxInFlight(int maxInFlight) {
    return new FlowRules(
        bounds, rateLimit, OptionalInt.of(maxInFlight), priorityAgeing, singleActiveConsumer);
  }

  /** These rules with ageing of priorities. */
  public FlowRules withPriorityAgeing(Duration perLevel) {
    return new FlowRules(
        bounds, rateLimit, maxInFlight, Optional.of(perLevel), singleActiveConsumer);
  }

  /** These rules with or without a single active consumer. */
  public FlowRules withSingleActiveConsumer(boolean singleActiveConsumer) {
    return new FlowRules(bounds, rateLimit, maxInFlight, priorityAgeing, singleActiveConsumer);
  }

  /** Whether claims have to ask before they take. */
  boolean limitClaims() {
    return rateLimit.isPresent() || maxInFlight.isPresent() || singleActiveConsumer;
  }

  private static void checkAgeing(Duration ageing) {
    if (ageing.compareTo(Duration.ofSeconds(1)) < 0 || ageing.compareTo(LONGEST_AGEING) > 0) {
      throw new IllegalArgumentException(
          "priorityAgeing must be between 1 s and 365 days: " + ageing);
    }
  }
}
