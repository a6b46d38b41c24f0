package dev.trunkline.topic;

import dev.trunkline.message.Outcome;

/**
 * What a service does with a record of a shared group. Called concurrently up to the consumer's
 * concurrency, in no order.
 */
@FunctionalInterface
public interface SharedHandler {
  /**
   * Handles one delivery.
   *
   * @return what becomes of it; ignored if the delivery was settled through its own methods
   * @throws Exception meaning: failed, try again by policy, unless the consumer is configured
   *     otherwise for this type
   */
  Outcome handle(SharedDelivery delivery) throws Exception;
}
