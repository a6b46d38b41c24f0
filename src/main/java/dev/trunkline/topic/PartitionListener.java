package dev.trunkline.topic;

import java.util.Set;

/**
 * Hears which partitions a {@link GroupConsumer} has. Called in the thread that polls, seeks
 * included, commits, or closes; never while another method of the consumer runs.
 */
public interface PartitionListener {

  /** Does nothing. */
  static PartitionListener none() {
    return new PartitionListener() {};
  }

  /**
   * Partitions were given to this member; it goes on where the group has committed. It may seek.
   *
   * @param consumer the consumer
   * @param partitions the new ones
   */
  default void onAssigned(GroupConsumer consumer, Set<Integer> partitions) {}

  /**
   * Partitions are handed over to another member, or the consumer is being closed. They are still
   * this member's until this returns: what has been handled should be committed now.
   *
   * @param consumer the consumer
   * @param partitions those that go
   */
  default void onRevoked(GroupConsumer consumer, Set<Integer> partitions) {}

  /**
   * Partitions are gone, after a pause that was longer than the session timeout or than the longest
   * poll interval. They may be another member's already: nothing can be committed for them, and
   * what was not committed is delivered again.
   *
   * @param consumer the consumer
   * @param partitions those that are gone
   */
  default void onLost(GroupConsumer consumer, Set<Integer> partitions) {}
}
