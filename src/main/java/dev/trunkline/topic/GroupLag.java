package dev.trunkline.topic;

import java.util.List;

/**
 * How far a group is behind.
 *
 * @param topic the name of its topic
 * @param group its name
 * @param partitions the same for each partition of the topic, in their order
 */
public record GroupLag(String topic, String group, List<PartitionLag> partitions) {

  /** Keeps a copy. */
  public GroupLag {
    partitions = List.copyOf(partitions);
  }
}
