package dev.trunkline.queue;

/** What becomes of messages whose time is over. */
public enum ExpiredMessages {
  /** They are deleted, and counted: {@link QueueStats#expired}. */
  DROP,

  /**
   * They are dead letters, of the reason {@link dev.trunkline.deadletter.DeathReason#EXPIRED}, and
   * counted as well.
   */
  DEAD_LETTER
}
