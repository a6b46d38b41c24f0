package dev.trunkline.retry;

/**
 * What becomes of a message whose handler fails again and again where order is kept: in the
 * partitions of a topic, and in the keys of a FIFO queue. Until the limit of the retry policy is
 * reached, all do the same: the message is tried again after a back-off, and the later ones of its
 * partition or key wait.
 */
public enum FailurePolicy {
  /**
   * Tries for ever: no message is passed over and no order is broken, and the partition or key
   * waits. The limit does not matter. The default.
   */
  BLOCK,

  /** At the limit the message becomes a dead letter, and the partition or key goes on. */
  SKIP,

  /**
   * At the limit the message becomes a dead letter, and the later ones of its key wait untried
   * until the key is released; other keys go on. Those of a topic wait among the dead letters,
   * those of a queue in the queue. A record without a key is skipped.
   */
  PARK
}
