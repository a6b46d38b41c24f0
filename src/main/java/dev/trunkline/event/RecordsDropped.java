package dev.trunkline.event;

import static java.util.Objects.requireNonNull;

/**
 * Retention has dropped records of a partition that a consumer group had not read. The group goes
 * on as its configuration says for positions that are out of range. A shared group goes on where
 * the log begins; of the offsets told it may have settled some. Immutable and thread-safe.
 *
 * @param topic the name of the topic
 * @param group the name of the group that has lost them
 * @param partition the partition, 0 and up
 * @param from the first offset that the group had not read, or not settled
 * @param to the first offset that is left
 */
public record RecordsDropped(String topic, String group, int partition, long from, long to) {

  /** Checks that nothing is missing. */
  public RecordsDropped {
    requireNonNull(topic, "topic");
    requireNonNull(group, "group");
  }
}
