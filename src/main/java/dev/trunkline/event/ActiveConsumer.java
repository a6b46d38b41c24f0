package dev.trunkline.event;

import static java.util.Objects.requireNonNull;

/**
 * A consumer of this process has become the active one of a queue that is for one at a time, or has
 * stopped being it. Immutable and thread-safe.
 *
 * @param queue the name of the queue
 * @param active whether it has become active
 * @param epoch which activation of the queue it is, or was; each is higher than those before
 */
public record ActiveConsumer(String queue, boolean active, long epoch) {

  /** Checks that nothing is missing. */
  public ActiveConsumer {
    requireNonNull(queue, "queue");
  }
}
