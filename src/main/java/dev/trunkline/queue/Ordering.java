package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.retry.FailurePolicy;

/**
 * What the keys of a queue's messages mean for the order of delivery. Chosen when the queue is
 * declared, and for good. Immutable and thread-safe.
 */
public sealed interface Ordering {
  /** The key is a label. The default. */
  record None() implements Ordering {}

  /**
   * The messages of a key are delivered one after the other, in the order of their ids; keys do not
   * wait for each other.
   *
   * @param failurePolicy what becomes of a message that fails again and again
   */
  record FifoByKey(FailurePolicy failurePolicy) implements Ordering {
    /** Refuses null. */
    public FifoByKey {
      requireNonNull(failurePolicy, "failurePolicy");
    }
  }

  /**
   * The key names a tenant, and tenants take turns: however much of one waits, the messages of
   * another are delivered within the next claims. Nothing is promised about order.
   */
  record FairByKey() implements Ordering {}

  /** The key is a label. */
  static Ordering none() {
    return new None();
  }

  /** Strict order by key, with what becomes of a message that fails again and again. */
  static Ordering fifoByKey(FailurePolicy failurePolicy) {
    return new FifoByKey(failurePolicy);
  }

  /** Tenants take turns. */
  static Ordering fairByKey() {
    return new FairByKey();
  }

  /** Whether messages wait by key, rather than in one line. */
  default boolean isKeyed() {
    return !(this instanceof None);
  }

  /** Whether the order of each key is kept. */
  default boolean isFifo() {
    return this instanceof FifoByKey;
  }
}
