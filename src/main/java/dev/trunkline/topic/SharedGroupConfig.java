package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.internal.work.VisibilityTimeout;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;
import java.time.temporal.ChronoUnit;

/**
 * How a shared group reads a topic. Immutable and thread-safe.
 *
 * <p>All processes have to agree on everything but {@code start}, which matters only to the first
 * one.
 *
 * @param start where the group begins when it is new; there is no default. A group that exists goes
 *     on where it is
 * @param visibilityTimeout how long a claimed record is hidden from others: 1 ms to 12 h, default
 *     30 s
 * @param retryPolicy when a failed record is tried again, and the limit, default {@link
 *     RetryPolicy#defaults()}
 * @param sessionTimeout silence after which a process is taken for dead, and what it holds is
 *     delivered elsewhere: 100 ms to 30 min in whole milliseconds, default 10 s. A process beats at
 *     its poll interval, of which it must hold at least three
 */
public record SharedGroupConfig(
    StartFrom start, Duration visibilityTimeout, RetryPolicy retryPolicy, Duration sessionTimeout) {

  /** Default of {@link #visibilityTimeout}. */
  public static final Duration DEFAULT_VISIBILITY_TIMEOUT = Duration.ofSeconds(30);

  /** Default of {@link #sessionTimeout}. */
  public static final Duration DEFAULT_SESSION_TIMEOUT = Duration.ofSeconds(10);

  private static final Duration SHORTEST_SESSION = Duration.ofMillis(100);
  private static final Duration LONGEST_SESSION = Duration.ofMinutes(30);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public SharedGroupConfig {
    requireNonNull(start, "start");
    requireNonNull(retryPolicy, "retryPolicy");
    visibilityTimeout = VisibilityTimeout.check("visibilityTimeout", visibilityTimeout);
    sessionTimeout =
        requireNonNull(sessionTimeout, "sessionTimeout").truncatedTo(ChronoUnit.MILLIS);
    if (sessionTimeout.compareTo(SHORTEST_SESSION) < 0
        || sessionTimeout.compareTo(LONGEST_SESSION) > 0) {
      throw new IllegalArgumentException(
          "sessionTimeout must be between 100 ms and 30 min: " + sessionTimeout);
    }
  }

  /** A group that begins there when it is new. */
  public static SharedGroupConfig from(StartFrom start) {
    return new SharedGroupConfig(
        start, DEFAULT_VISIBILITY_TIMEOUT, RetryPolicy.defaults(), DEFAULT_SESSION_TIMEOUT);
  }

  /** This configuration with another visibility timeout. */
  public SharedGroupConfig withVisibilityTimeout(Duration visibilityTimeout) {
    return new SharedGroupConfig(start, visibilityTimeout, retryPolicy, sessionTimeout);
  }

  /** This configuration with another retry policy. */
  public SharedGroupConfig withRetryPolicy(RetryPolicy retryPolicy) {
    return new SharedGroupConfig(start, visibilityTimeout, retryPolicy, sessionTimeout);
  }

  /** This configuration with another session timeout. */
  public SharedGroupConfig withSessionTimeout(Duration sessionTimeout) {
    return new SharedGroupConfig(start, visibilityTimeout, retryPolicy, sessionTimeout);
  }
}
