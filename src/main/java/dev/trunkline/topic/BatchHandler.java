package dev.trunkline.topic;

import java.util.List;

/**
 * What a service does with several records of one partition, in the order of their offsets. Called
 * for one batch of a partition at a time, and concurrently for different partitions.
 */
@FunctionalInterface
public interface BatchHandler {
  /**
   * Handles a batch: at least one record, at most {@link MemberConfig#pageRecords}. If it fails,
   * its records come again one by one, so that the one at fault is found.
   *
   * @throws Exception meaning: failed; of a batch of one, to be tried again by the group's retry
   *     policy
   */
  void handle(List<TopicRecord> records) throws Exception;
}
