package dev.trunkline.deadletter;

/** Why a message was given up. The names are what stands in the column {@code reason}. */
public enum DeathReason {
  /** The handler said so: {@code Outcome.deadLetter(detail)}. */
  REJECTED,

  /** The handler failed, and that was the last delivery that the retry policy allows. */
  DELIVERY_LIMIT,

  /**
   * The lease expired or its consumer died, and that was the last delivery that the retry policy
   * allows.
   */
  LEASE_EXPIRED,

  /** The handler threw an exception that the consumer is configured not to retry. */
  NON_RETRYABLE,

  /** The payload could not be read as the type that was asked for. */
  UNREADABLE,

  /** Its time to live was over before it was handled. */
  EXPIRED,

  /** The queue was full, and this was what had waited for longest. */
  OVERFLOW,

  /** A record of a topic waits, untried, behind a dead letter of its key. */
  PARKED
}
