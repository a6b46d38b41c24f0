package dev.trunkline.error;

/**
 * The partition is no longer this member's: it was given to another one, after a pause that was
 * longer than the session timeout, or was handed over before. Nothing was committed. What was
 * handled and not committed is delivered again, to the partition's owner.
 */
public final class PartitionLostException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String topic;
  private final String group;
  private final int partition;

  /**
   * Creates the exception.
   *
   * @param topic the name of the topic
   * @param group the name of the group
   * @param partition the partition
   */
  public PartitionLostException(String topic, String group, int partition) {
    super(
        "partition %d of topic \"%s\" is no longer this member's in group \"%s\""
            .formatted(partition, topic, group),
        null);
    this.topic = topic;
    this.group = group;
    this.partition = partition;
  }

  /** The name of the topic. */
  public String topic() {
    return topic;
  }

  /** The name of the group. */
  public String group() {
    return group;
  }

  /** The partition. */
  public int partition() {
    return partition;
  }
}
