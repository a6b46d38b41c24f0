package dev.trunkline.error;

/**
 * A bounded queue had no room for what was to be sent, and none came in time. Nothing was sent; a
 * caller's transaction lives on.
 */
public final class QueueFullException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String queue;
  private final long messages;
  private final long bytes;

  /**
   * Creates the exception.
   *
   * @param queue the name of the queue
   * @param messages how many messages wait in it
   * @param bytes how many payload bytes they have
   * @param bounds the bounds of the queue
   */
  public QueueFullException(String queue, long messages, long bytes, Object bounds) {
    super(
        "queue \"%s\" is full: %d messages of %d bytes wait in it, allowed is %s"
            .formatted(queue, messages, bytes, bounds),
        null);
    this.queue = queue;
    this.messages = messages;
    this.bytes = bytes;
  }

  /** The name of the queue. */
  public String queue() {
    return queue;
  }

  /** How many messages waited in it. */
  public long messages() {
    return messages;
  }

  /** How many payload bytes they had. */
  public long bytes() {
    return bytes;
  }
}
