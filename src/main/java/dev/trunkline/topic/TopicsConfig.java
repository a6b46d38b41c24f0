package dev.trunkline.topic;

import dev.trunkline.event.TrunklineListener;
import java.time.Duration;

/**
 * What the topics of one process share. For the library: set through {@code TrunklineConfig}.
 * Immutable and thread-safe.
 *
 * @param notifies whether other processes are told by NOTIFY of what this one has committed
 * @param notifiesInCallers whether a caller's transaction carries such a NOTIFY
 * @param listens whether this process listens
 * @param pollInterval how often an idle process looks by itself
 * @param listener who is told of what happens
 * @param upkeep whether this process takes part in the upkeep
 */
public record TopicsConfig(
    boolean notifies,
    boolean notifiesInCallers,
    boolean listens,
    Duration pollInterval,
    TrunklineListener listener,
    boolean upkeep) {}
