package dev.trunkline.queue;

/** What happens to a message for which a {@link Bounds bounded} queue has no room. */
public enum Overflow {
  /**
   * The sender waits for room, up to {@link Bounds#maxWait}, and is then refused. In a caller's
   * transaction nobody waits: it is refused at once.
   */
  BLOCK,

  /** The sender is refused at once. */
  REJECT,

  /**
   * Those that are ready and have waited for longest, whatever their priority, make room: they
   * become dead letters.
   */
  DROP_OLDEST
}
