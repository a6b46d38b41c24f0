package dev.trunkline.error;

/**
 * The delivery is no longer ours: its lease expired and was taken back, the queue was purged, or it
 * was settled before. Nothing was changed. The message is, or was, delivered again unless it had
 * been settled.
 *
 * <p>A delivery is of a queue, or of a shared group of a topic; what it is not of is empty or -1.
 */
public final class LeaseLostException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String queue;
  private final long messageId;
  private final String topic;
  private final String group;
  private final int partition;
  private final long offset;
  private final long leaseId;

  /**
   * Creates the exception for a message of a queue.
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
    this.topic = "";
    this.group = "";
    this.partition = -1;
    this.offset = -1;
    this.leaseId = leaseId;
  }

  /**
   * Creates the exception for a record of a shared group.
   *
   * @param topic the name of the topic
   * @param group the name of the group
   * @param partition the partition of the record
   * @param offset its offset
   * @param leaseId the fencing token that is no longer valid
   */
  public LeaseLostException(String topic, String group, int partition, long offset, long leaseId) {
    super(
        "record %d of partition %d of topic \"%s\" is no longer held by lease %d of group \"%s\": it was settled or expired, or the group was reset"
            .formatted(offset, partition, topic, leaseId, group),
        null);
    this.queue = "";
    this.messageId = -1;
    this.topic = topic;
    this.group = group;
    this.partition = partition;
    this.offset = offset;
    this.leaseId = leaseId;
  }

  /** The name of the queue, if it was a queue's. */
  public String queue() {
    return queue;
  }

  /** The id of the message, if it was a queue's. */
  public long messageId() {
    return messageId;
  }

  /** The name of the topic, if it was a shared group's. */
  public String topic() {
    return topic;
  }

  /** The name of the group, if it was a shared group's. */
  public String group() {
    return group;
  }

  /** The partition of the record, if it was a shared group's. */
  public int partition() {
    return partition;
  }

  /** The offset of the record, if it was a shared group's. */
  public long offset() {
    return offset;
  }

  /** The fencing token that is no longer valid. */
  public long leaseId() {
    return leaseId;
  }
}
