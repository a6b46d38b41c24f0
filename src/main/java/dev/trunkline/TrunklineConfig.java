package dev.trunkline;

import static java.util.Objects.requireNonNull;

import dev.trunkline.queue.NotifyMode;
import dev.trunkline.queue.QueuesConfig;
import dev.trunkline.topic.TopicsConfig;
import java.time.Duration;

/**
 * How a Trunkline is opened. Immutable and thread-safe.
 *
 * @param migrationMode what is done about the schema, default {@link MigrationMode#MIGRATE}
 * @param queues what the queues of this process share
 */
public record TrunklineConfig(MigrationMode migrationMode, QueuesConfig queues) {

  /** Checks that nothing is missing. */
  public TrunklineConfig {
    requireNonNull(migrationMode, "migrationMode");
    requireNonNull(queues, "queues");
  }

  /** What the topics need of it. */
  TopicsConfig topics() {
    NotifyMode mode = queues.notifyMode();
    return new TopicsConfig(
        mode != NotifyMode.OFF,
        mode == NotifyMode.ALL,
        mode != NotifyMode.OFF,
        queues.pollInterval());
  }

  /** Migrates, notifies, looks once a second, dead after 6 s of silence. */
  public static TrunklineConfig defaults() {
    return new TrunklineConfig(MigrationMode.MIGRATE, QueuesConfig.defaults());
  }

  /** This configuration with another migration mode. */
  public TrunklineConfig withMigrationMode(MigrationMode migrationMode) {
    return new TrunklineConfig(migrationMode, queues);
  }

  /** This configuration with another use of NOTIFY. */
  public TrunklineConfig withNotifyMode(NotifyMode notifyMode) {
    return new TrunklineConfig(migrationMode, queues.withNotifyMode(notifyMode));
  }

  /** This configuration with another poll interval; see {@link QueuesConfig#pollInterval}. */
  public TrunklineConfig withPollInterval(Duration pollInterval) {
    return new TrunklineConfig(migrationMode, queues.withPollInterval(pollInterval));
  }

  /**
   * This configuration with another heartbeat timeout; see {@link QueuesConfig#heartbeatTimeout}.
   */
  public TrunklineConfig withHeartbeatTimeout(Duration heartbeatTimeout) {
    return new TrunklineConfig(migrationMode, queues.withHeartbeatTimeout(heartbeatTimeout));
  }
}
