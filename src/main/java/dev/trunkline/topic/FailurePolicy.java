package dev.trunkline.topic;

/**
 * What becomes of a record whose handler fails again and again. Until the limit of the group's
 * retry policy is reached, all do the same: the record is tried again after a back-off, and the
 * later ones of its partition wait.
 */
public enum FailurePolicy {
  /**
   * Tries for ever: no record is passed over and no order is broken, and the partition waits. The
   * limit does not matter. The default.
   */
  BLOCK,

  /** At the limit the record becomes a dead letter, and the partition goes on. */
  SKIP,

  /**
   * At the limit the record becomes a dead letter, and so do, in order and untried, the later
   * records of its key, until the key is released; other keys go on. A record without a key is
   * skipped.
   */
  PARK
}
