package dev.trunkline.queue;

/** Within what a deduplication id has to be unique. */
public enum DeduplicationScope {
  /** The queue. */
  QUEUE,

  /** The key: messages of different keys are never duplicates. Every message has to have one. */
  KEY
}
