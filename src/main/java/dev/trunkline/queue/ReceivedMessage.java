package dev.trunkline.queue;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.time.Instant;

/**
 * A message that was deleted when it was delivered: there is nothing to settle, and no second
 * delivery. Immutable and thread-safe.
 *
 * @param queue the name of the queue
 * @param id the id of the message
 * @param message what was sent
 * @param enqueuedAt when it was sent: the start of the sender's transaction, by the database's
 *     clock
 * @param isRedelivered whether it had been claimed before, by a consumer that could give it back
 */
public record ReceivedMessage(
    String queue, MessageId id, Message message, Instant enqueuedAt, boolean isRedelivered) {

  static ReceivedMessage of(Delivery delivery) {
    return new ReceivedMessage(
        delivery.queue(),
        delivery.id(),
        delivery.message(),
        delivery.enqueuedAt(),
        delivery.isRedelivered());
  }

  /** Names the message, never its payload. */
  @Override
  public String toString() {
    return "ReceivedMessage[queue=%s, id=%s]".formatted(queue, id);
  }
}
