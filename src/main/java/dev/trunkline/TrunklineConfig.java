package dev.trunkline;

import static java.util.Objects.requireNonNull;

import dev.trunkline.event.TrunklineListener;
import dev.trunkline.queue.NotifyMode;
import dev.trunkline.queue.QueuesConfig;
import dev.trunkline.topic.TopicsConfig;
import java.time.Duration;

/**
 * How a Trunkline is opened. Immutable and thread-safe.
 *
 * @param migrationMode what is done about the schema, default {@link MigrationMode#MIGRATE}
 * @param queues what the queues of this process share
 * @param listener who is told of what an operator should hear of, default nobody
 * @param upkeep whether this process takes part in making and dropping the tables of topics, in
 *     their retention and compaction, default yes; some process has to
 */
public record TrunklineConfig(
    MigrationMode migrationMode, QueuesConfig queues, TrunklineListener listener, boolean upkeep) {

  /** Checks that nothing is missing. */
  public TrunklineConfig {
    requireNonNull(migrationMode, "migrationMode");
    requireNonNull(queues, "queues");
    requireNonNull(listener, "listener");
  }

  /** What the topics need of it. */
  TopicsConfig topics() {
    NotifyMode mode = queues.notifyMode();
    return new TopicsConfig(
        mode != NotifyMode.OFF,
        mode == NotifyMode.ALL,
        mode != NotifyMode.OFF,
        queues.pollInterval(),
        listener,
        upkeep);
  }

  /** Migrates, notifies, looks once a second, dead after 6 s of silence. */
  public static TrunklineConfig defaults() {
    return new TrunklineConfig(
        MigrationMode.MIGRATE, QueuesConfig.defaults(), TrunklineListener.NONE, true);
  }

  /** This configuration with another migration mode. */
  public TrunklineConfig withMigrationMode(MigrationMode migrationMode) {
    return new TrunklineConfig(migrationMode, queues, listener, upkeep);
  }

  /** This configuration with another use of NOTIFY. */
  public TrunklineConfig withNotifyMode(NotifyMode notifyMode) {
    return new TrunklineConfig(migrationMode, queues.withNotifyMode(notifyMode), listener, upkeep);
  }

  /** This configuration with another poll interval; see {@link QueuesConfig#pollInterval}. */
  public TrunklineConfig withPollInterval(Duration pollInterval) {
    return new TrunklineConfig(
        migrationMode, queues.withPollInterval(pollInterval), listener, upkeep);
  }

  /**
   * This configuration with another heartbeat timeout; see {@link QueuesConfig#heartbeatTimeout}.
   */
  public TrunklineConfig withHeartbeatTimeout(Duration heartbeatTimeout) {
    return new TrunklineConfig(
        migrationMode, queues.withHeartbeatTimeout(heartbeatTimeout), listener, upkeep);
  }

  /** This configuration, with or without a part in the upkeep of topics. */
  public TrunklineConfig withUpkeep(boolean upkeep) {
    return new TrunklineConfig(migrationMode, queues, listener, upkeep);
  }

  /** This configuration with somebody who is told of events; replaces the one before. */
  public TrunklineConfig withListener(TrunklineListener listener) {
    return new TrunklineConfig(migrationMode, queues, listener, upkeep);
  }
}
