package dev.trunkline.topic;

/**
 * What a group does when the record it would read next is not in the log: retention has dropped it,
 * or the offset is beyond the end.
 */
public enum OutOfRange {
  /**
   * Stops: a poll throws {@link dev.trunkline.error.OffsetOutOfRangeException}, a subscription logs
   * it as an error and leaves the partition alone until the group is reset. The default.
   */
  FAIL,

  /** Goes on with the first record that is there, and logs how many were missed. */
  EARLIEST,

  /** Goes on at the end, and logs how many were missed. */
  LATEST
}
