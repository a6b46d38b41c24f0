package dev.trunkline.error;

/** The payload is larger than the queue or topic allows. Nothing was sent. */
public final class PayloadTooLargeException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String destination;
  private final int bytes;
  private final int maxBytes;

  /**
   * Creates the exception.
   *
   * @param kind {@code queue} or {@code topic}
   * @param destination the name of the queue or topic
   * @param bytes the size of the payload
   * @param maxBytes the size that is allowed
   */
  public PayloadTooLargeException(String kind, String destination, int bytes, int maxBytes) {
    super(
        "payload of %d bytes is over the limit of %s \"%s\": maxPayloadBytes is %d"
            .formatted(bytes, kind, destination, maxBytes),
        null);
    this.destination = destination;
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }

  /** The name of the queue or topic. */
  public String destination() {
    return destination;
  }

  /** The size of the payload, in bytes. */
  public int bytes() {
    return bytes;
  }

  /** The size that is allowed, in bytes. */
  public int maxBytes() {
    return maxBytes;
  }
}
