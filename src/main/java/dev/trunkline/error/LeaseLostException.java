package dev.trunkline.error;

/**
 * The delivery is no longer ours: its lease expired and was taken back, the queue was purged, or it
 * was settled before. Nothing was changed. The message is, or was, delivered again unless it had
 * been settled.
 */
public final class LeaseLostException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String queue;
  private final long messageId;
  private final long leaseId;

  /**
   * Creates the exception.
   *
   * @param queue the name of the queue
   * @param messageId the id of the message
   * @param leaseId the fencing token that is no longer valid
   */
  public LeaseLostException(String queue, long messageId, long leaseId) {
    super(
        "message %d of queue \"%s\" is no longer held by lease %d: it was settled, expired or purged"
            .formatted(messageId, queue, leaseId),
        null);
    this.queue = queue;
    this.messageId = messageId;
    this.leaseId = leaseId;
  }

  /** The name of the queue. */
  public String queue() {
    return queue;
  }

  /** The id of the message. */
  public long messageId() {
    return messageId;
  }

  /** The fencing token that is no longer valid. */
  public long leaseId() {
    return leaseId;
  }
}
