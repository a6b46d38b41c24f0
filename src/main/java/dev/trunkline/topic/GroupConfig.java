package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;
import java.time.temporal.ChronoUnit;

/**
 * How a group reads a topic. Immutable and thread-safe.
 *
 * <p>All processes have to agree on everything but {@code start}, which matters only to the first
 * one, and {@code member}, which is each one's own affair.
 *
 * @param start where the group begins when it is new; there is no default. A group that exists goes
 *     on where it is
 * @param failurePolicy what becomes of a record that fails again and again, default {@link
 *     FailurePolicy#BLOCK}
 * @param retryPolicy when a failed record is tried again, and the limit, default {@link
 *     RetryPolicy#defaults()}
 * @param outOfRange what happens when the next record is not in the log, default {@link
 *     OutOfRange#FAIL}
 * @param sessionTimeout silence after which the others take a member for dead, and its partitions:
 *     100 ms to 30 min in whole milliseconds, default 10 s. A process looks and beats at its poll
 *     interval, of which it must hold at least three
 * @param member how this process's member works, default {@link MemberConfig#defaults()}
 */
public record GroupConfig(
    StartFrom start,
    FailurePolicy failurePolicy,
    RetryPolicy retryPolicy,
    OutOfRange outOfRange,
    Duration sessionTimeout,
    MemberConfig member) {

  /** Default of {@link #sessionTimeout}. */
  public static final Duration DEFAULT_SESSION_TIMEOUT = Duration.ofSeconds(10);

  private static final Duration SHORTEST_SESSION = Duration.ofMillis(100);
  private static final Duration LONGEST_SESSION = Duration.ofMinutes(30);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public GroupConfig {
    requireNonNull(start, "start");
    requireNonNull(failurePolicy, "failurePolicy");
    requireNonNull(retryPolicy, "retryPolicy");
    requireNonNull(outOfRange, "outOfRange");
    requireNonNull(member, "member");
    // As it is stored: a configuration must be equal to itself read back.
    sessionTimeout =
        requireNonNull(sessionTimeout, "sessionTimeout").truncatedTo(ChronoUnit.MILLIS);
    if (sessionTimeout.compareTo(SHORTEST_SESSION) < 0
        || sessionTimeout.compareTo(LONGEST_SESSION) > 0) {
      throw new IllegalArgumentException(
          "sessionTimeout must be between 100 ms and 30 min: " + sessionTimeout);
    }
  }

  /** A group that begins there when it is new, and blocks at a record that fails. */
  public static GroupConfig from(StartFrom start) {
    return new GroupConfig(
        start,
        FailurePolicy.BLOCK,
        RetryPolicy.defaults(),
        OutOfRange.FAIL,
        DEFAULT_SESSION_TIMEOUT,
        MemberConfig.defaults());
  }

  /** This configuration with another failure policy. */
  public GroupConfig withFailurePolicy(FailurePolicy failurePolicy) {
    return new GroupConfig(start, failurePolicy, retryPolicy, outOfRange, sessionTimeout, member);
  }

  /** This configuration with another retry policy. */
  public GroupConfig withRetryPolicy(RetryPolicy retryPolicy) {
    return new GroupConfig(start, failurePolicy, retryPolicy, outOfRange, sessionTimeout, member);
  }

  /** This configuration with another answer to an offset that is out of range. */
  public GroupConfig withOutOfRange(OutOfRange outOfRange) {
    return new GroupConfig(start, failurePolicy, retryPolicy, outOfRange, sessionTimeout, member);
  }

  /** This configuration with another session timeout. */
  public GroupConfig withSessionTimeout(Duration sessionTimeout) {
    return new GroupConfig(start, failurePolicy, retryPolicy, outOfRange, sessionTimeout, member);
  }

  /** This configuration for another member. */
  public GroupConfig withMember(MemberConfig member) {
    return new GroupConfig(start, failurePolicy, retryPolicy, outOfRange, sessionTimeout, member);
  }

  /** This configuration for a static member; see {@link MemberConfig#instanceId}. */
  public GroupConfig withInstanceId(String instanceId) {
    return withMember(member.withInstanceId(instanceId));
  }

  /** This configuration with another concurrency; see {@link MemberConfig#concurrency}. */
  public GroupConfig withConcurrency(int concurrency) {
    return withMember(member.withConcurrency(concurrency));
  }
}
