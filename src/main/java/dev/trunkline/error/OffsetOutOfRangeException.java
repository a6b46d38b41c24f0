package dev.trunkline.error;

/**
 * The offset is before the first one that retention has left, or beyond the end of the partition.
 */
public final class OffsetOutOfRangeException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String topic;
  private final int partition;
  private final long offset;
  private final long first;
  private final long end;

  /**
   * Creates the exception.
   *
   * @param topic the name of the topic
   * @param partition the partition
   * @param offset the offset that was asked for
   * @param first the first offset that is there
   * @param end the offset that the next record will have
   */
  public OffsetOutOfRangeException(String topic, int partition, long offset, long first, long end) {
    super(
        "offset %d is out of range: partition %d of topic \"%s\" has the offsets from %d up to, not including, %d"
            .formatted(offset, partition, topic, first, end),
        null);
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.first = first;
    this.end = end;
  }

  /** The name of the topic. */
  public String topic() {
    return topic;
  }

  /** The partition. */
  public int partition() {
    return partition;
  }

  /** The offset that was asked for. */
  public long offset() {
    return offset;
  }

  /** The first offset that is there. */
  public long first() {
    return first;
  }

  /** The offset that the next record will have. */
  public long end() {
    return end;
  }
}
