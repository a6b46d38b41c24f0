package dev.trunkline.retry;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.OptionalInt;
import java.util.function.DoubleSupplier;

/**
 * When a failed or lost delivery is tried again, and when it is given up.
 *
 * <p>The delay after the n-th failure is {@code min(maxDelay, initialDelay * multiplier^(n-1))},
 * spread by the jitter; all are whole milliseconds. It applies to failures and to lease expiries
 * alike. Immutable and thread-safe.
 *
 * @param maxDeliveries failed or lost deliveries after which the message becomes a dead letter: 1
 *     or more, default 5; {@link #UNLIMITED} (-1) for never
 * @param initialDelay delay after the first failure: zero or more, default 1 s
 * @param maxDelay the cap: at least the initial delay, at most 365 days, default 5 min
 * @param multiplier growth per failure: 1 to 1000, default 2
 * @param jitter how the delay is spread, default {@link Jitter#FULL}
 */
public record RetryPolicy(
    int maxDeliveries, Duration initialDelay, Duration maxDelay, double multiplier, Jitter jitter) {

  /** The value of {@link #maxDeliveries} that means: try for ever. */
  public static final int UNLIMITED = -1;

  /** Default of {@link #maxDeliveries}. */
  public static final int DEFAULT_MAX_DELIVERIES = 5;

  /** Default of {@link #initialDelay}. */
  public static final Duration DEFAULT_INITIAL_DELAY = Duration.ofSeconds(1);

  /** Default of {@link #maxDelay}. */
  public static final Duration DEFAULT_MAX_DELAY = Duration.ofMinutes(5);

  /** Default of {@link #multiplier}. */
  public static final double DEFAULT_MULTIPLIER = 2;

  private static final Duration LONGEST_DELAY = Duration.ofDays(365);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public RetryPolicy {
    requireNonNull(initialDelay, "initialDelay");
    requireNonNull(maxDelay, "maxDelay");
    requireNonNull(jitter, "jitter");
    // As they are stored: a policy must be equal to itself read back.
    initialDelay = initialDelay.truncatedTo(ChronoUnit.MILLIS);
    maxDelay = maxDelay.truncatedTo(ChronoUnit.MILLIS);
    if (maxDeliveries < 1 && maxDeliveries != UNLIMITED) {
      throw new IllegalArgumentException(
          "maxDeliveries must be at least 1, or -1 for unlimited: " + maxDeliveries);
    }
    if (initialDelay.isNegative()) {
      throw new IllegalArgumentException("initialDelay must not be negative: " + initialDelay);
    }
    if (maxDelay.compareTo(initialDelay) < 0) {
      throw new IllegalArgumentException(
          "maxDelay must be at least initialDelay (" + initialDelay + "): " + maxDelay);
    }
    if (maxDelay.compareTo(LONGEST_DELAY) > 0) {
      throw new IllegalArgumentException("maxDelay must be at most 365 days: " + maxDelay);
    }
    if (!(multiplier >= 1 && multiplier <= 1000)) {
      throw new IllegalArgumentException("multiplier must be between 1 and 1000: " + multiplier);
    }
  }

  /** Five deliveries, 1 s doubling up to 5 min, full jitter. */
  public static RetryPolicy defaults() {
    return new RetryPolicy(
        DEFAULT_MAX_DELIVERIES,
        DEFAULT_INITIAL_DELAY,
        DEFAULT_MAX_DELAY,
        DEFAULT_MULTIPLIER,
        Jitter.FULL);
  }

  /** This policy with another limit. */
  public RetryPolicy withMaxDeliveries(int maxDeliveries) {
    return new RetryPolicy(maxDeliveries, initialDelay, maxDelay, multiplier, jitter);
  }

  /** This policy with other delays. */
  public RetryPolicy withDelays(Duration initialDelay, Duration maxDelay) {
    return new RetryPolicy(maxDeliveries, initialDelay, maxDelay, multiplier, jitter);
  }

  /** This policy with another growth. */
  public RetryPolicy withMultiplier(double multiplier) {
    return new RetryPolicy(maxDeliveries, initialDelay, maxDelay, multiplier, jitter);
  }

  /** This policy with another jitter. */
  public RetryPolicy withJitter(Jitter jitter) {
    return new RetryPolicy(maxDeliveries, initialDelay, maxDelay, multiplier, jitter);
  }

  /** The limit, or empty if there is none. */
  public OptionalInt limit() {
    return maxDeliveries == UNLIMITED ? OptionalInt.empty() : OptionalInt.of(maxDeliveries);
  }

  /**
   * Whether a message is given up after so many failed or lost deliveries.
   *
   * @param deliveries how many failed or were lost, this one included
   */
  public boolean isExhaustedBy(int deliveries) {
    return maxDeliveries != UNLIMITED && deliveries >= maxDeliveries;
  }

  /**
   * The delay until the next try.
   *
   * @param deliveries how many deliveries failed or were lost so far, 1 or more
   * @param random answers numbers in [0, 1); used only with {@link Jitter#FULL}
   * @return zero to {@link #maxDelay}, in whole milliseconds
   * @throws IllegalArgumentException if deliveries is below 1
   */
  public Duration delayAfter(int deliveries, DoubleSupplier random) {
    if (deliveries < 1) {
      throw new IllegalArgumentException("deliveries must be at least 1: " + deliveries);
    }
    // In doubles: overflow becomes infinity, which the cap takes care of; 0 * infinity is not a
    // number.
    double initialMillis = initialDelay.toMillis();
    double uncapped =
        initialMillis == 0 ? 0 : initialMillis * Math.pow(multiplier, deliveries - 1.0);
    double capped = Math.min(uncapped, maxDelay.toMillis());
    double spread =
        switch (jitter) {
          case FULL -> capped * random.getAsDouble();
          case NONE -> capped;
        };
    return Duration.ofMillis((long) spread);
  }
}
