package dev.trunkline.queue;

import dev.trunkline.message.Outcome;

/** What a service does with a message. Called concurrently up to the consumer's concurrency. */
@FunctionalInterface
public interface Handler {
  /**
   * Handles one delivery.
   *
   * @return what becomes of it; ignored if the delivery was settled through its own methods
   * @throws Exception meaning: failed, try again by policy, unless the consumer is configured
   *     otherwise for this type
   */
  Outcome handle(Delivery delivery) throws Exception;
}
