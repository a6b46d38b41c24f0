package dev.trunkline.queue;

/** What became of a {@code Queue.reschedule}. */
public enum Rescheduling {
  /** The message will be delivered at its new time, not earlier. */
  RESCHEDULED,

  /** Nothing was changed: the message is in a consumer's hands, or is no longer there. */
  TOO_LATE
}
