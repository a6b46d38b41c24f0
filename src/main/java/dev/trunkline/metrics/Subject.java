package dev.trunkline.metrics;

/** What meters tell of; each comes and goes by itself. */
sealed interface Subject {
  /** A queue. */
  record InQueue(String queue) implements Subject {}

  /** The bounds of a queue that has some. */
  record InBounds(String queue) implements Subject {}

  /** A group in a partition of its topic. */
  record InPartition(String topic, String group, int partition) implements Subject {}
}
