package dev.trunkline.queue;

/**
 * What a service does with a message that it will see once at most. Called concurrently up to the
 * consumer's concurrency.
 */
@FunctionalInterface
public interface AtMostOnceHandler {
  /**
   * Handles a message, which is deleted already.
   *
   * @throws Exception meaning that it is lost; it is logged, and not tried again
   */
  void handle(ReceivedMessage message) throws Exception;
}
