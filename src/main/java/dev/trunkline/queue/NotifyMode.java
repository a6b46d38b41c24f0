package dev.trunkline.queue;

/**
 * Where NOTIFY is used to wake consumers in other processes. Delivery is correct in each mode; only
 * latency differs.
 */
public enum NotifyMode {
  /**
   * After own transactions, and in callers' transactions now and then. The default.
   *
   * <p>A transaction that has notified cannot be prepared: with two-phase commit (XA) use {@link
   * #OWN_TRANSACTIONS}.
   */
  ALL,

  /** After own transactions only. */
  OWN_TRANSACTIONS,

  /**
   * Never, and no connection listens: for connection poolers in transaction mode. Consumers in
   * other processes find messages by polling, within a second.
   */
  OFF
}
