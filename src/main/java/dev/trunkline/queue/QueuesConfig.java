package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * What the queues of one process share. Immutable and thread-safe.
 *
 * @param notifyMode where NOTIFY is used, default {@link NotifyMode#ALL}
 * @param pollInterval how often an idle process looks by itself, and says that it is alive: 10 ms
 *     to 10 s, default 1 s
 * @param heartbeatTimeout silence after which the others take this process for dead: at least three
 *     poll intervals, at most 10 min, default 6 s
 */
public record QueuesConfig(
    NotifyMode notifyMode, Duration pollInterval, Duration heartbeatTimeout) {

  /** Default of {@link #pollInterval}. */
  public static final Duration DEFAULT_POLL_INTERVAL = Duration.ofSeconds(1);

  /** Default of {@link #heartbeatTimeout}. */
  public static final Duration DEFAULT_HEARTBEAT_TIMEOUT = Duration.ofSeconds(6);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public QueuesConfig {
    requireNonNull(notifyMode, "notifyMode");
    requireNonNull(pollInterval, "pollInterval");
    requireNonNull(heartbeatTimeout, "heartbeatTimeout");
    if (pollInterval.compareTo(Duration.ofMillis(10)) < 0
        || pollInterval.compareTo(Duration.ofSeconds(10)) > 0) {
      throw new IllegalArgumentException(
          "pollInterval must be between 10 ms and 10 s: " + pollInterval);
    }
    if (heartbeatTimeout.compareTo(pollInterval.multipliedBy(3)) < 0
        || heartbeatTimeout.compareTo(Duration.ofMinutes(10)) > 0) {
      throw new IllegalArgumentException(
          "heartbeatTimeout must be between three poll intervals (%s) and 10 min: %s"
              .formatted(pollInterval.multipliedBy(3), heartbeatTimeout));
    }
  }

  /** Notifies everywhere, looks once a second, dead after 6 s of silence. */
  public static QueuesConfig defaults() {
    return new QueuesConfig(NotifyMode.ALL, DEFAULT_POLL_INTERVAL, DEFAULT_HEARTBEAT_TIMEOUT);
  }

  /** This configuration with another use of NOTIFY. */
  public QueuesConfig withNotifyMode(NotifyMode notifyMode) {
    return new QueuesConfig(notifyMode, pollInterval, heartbeatTimeout);
  }

  /** This configuration with another poll interval. */
  public QueuesConfig withPollInterval(Duration pollInterval) {
    return new QueuesConfig(notifyMode, pollInterval, heartbeatTimeout);
  }

  /** This configuration with another heartbeat timeout. */
  public QueuesConfig withHeartbeatTimeout(Duration heartbeatTimeout) {
    return new QueuesConfig(notifyMode, pollInterval, heartbeatTimeout);
  }
}
