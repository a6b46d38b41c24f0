package dev.trunkline.error;

/** The payload is larger than the queue allows. Nothing was sent. */
public final class PayloadTooLargeException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String queue;
  private final int bytes;
  private final int maxBytes;

  /**
   * Creates the exception.
   *
   * @param queue the name of the queue
   * @param bytes the size of the payload
   * @param maxBytes the size that the queue allows
   */
  public PayloadTooLargeException(String queue, int bytes, int maxBytes) {
    super(
        "payload of %d bytes is over the limit of queue \"%s\": maxPayloadBytes is %d"
            .formatted(bytes, queue, maxBytes),
        null);
    this.queue = queue;
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }

  /** The name of the queue. */
  public String queue() {
    return queue;
  }

  /** The size of the payload, in bytes. */
  public int bytes() {
    return bytes;
  }

  /** The size that the queue allows, in bytes. */
  public int maxBytes() {
    return maxBytes;
  }
}
