package dev.trunkline.topic;

/**
 * What a service does with a record. Called for one record of a partition at a time, in order, and
 * concurrently for different partitions.
 */
@FunctionalInterface
public interface RecordHandler {
  /**
   * Handles one record. It is done with when this returns; a crash before that has been committed
   * means that it is handled again.
   *
   * @throws Exception meaning: failed, to be tried again by the group's retry policy
   */
  void handle(TopicRecord record) throws Exception;
}
