package dev.trunkline.queue;

/** Where a message of a queue is; the fourth place, the dead letters, has a page of its own. */
public enum MessageState {
  /** May be claimed now. */
  READY,

  /** Waits for its time: delayed by the sender, or backing off. */
  SCHEDULED,

  /** Claimed and not settled. */
  IN_FLIGHT
}
