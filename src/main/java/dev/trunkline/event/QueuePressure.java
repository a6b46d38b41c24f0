package dev.trunkline.event;

import static java.util.Objects.requireNonNull;

/**
 * A bounded queue is nearly full, or no longer is. Immutable and thread-safe.
 *
 * @param queue the name of the queue
 * @param high whether the pressure has begun, or is over
 * @param messages how many messages wait
 * @param bytes how many payload bytes they have
 * @param fullness the share of the bound that is nearer, 1 if the queue is full
 */
public record QueuePressure(
    String queue, boolean high, long messages, long bytes, double fullness) {

  /** Checks that nothing is missing. */
  public QueuePressure {
    requireNonNull(queue, "queue");
  }
}
