package dev.trunkline.queue;

import dev.trunkline.internal.work.HeldLease;
import java.time.Duration;
import java.util.Collection;
import java.util.List;

/** A lease of a queue's messages. Thread-safe. */
final class Lease extends HeldLease {
  private final int queueId;
  private volatile boolean ofKey;
  private volatile boolean broken;

  Lease(long id, int queueId, Duration hiddenFor, Collection<Long> messageIds) {
    super(id, hiddenFor, messageIds);
    this.queueId = queueId;
  }

  private Lease(long ownId, Lease from, long messageId) {
    super(ownId, from, List.of(messageId));
    this.queueId = from.queueId;
  }

  @Override
  public Lease apart(long ownId, long messageId) {
    return new Lease(ownId, this, messageId);
  }

  int queueId() {
    return queueId;
  }

  /** Makes it the lease of a key: what it holds stays together, and is handled in order. */
  Lease ofKey() {
    ofKey = true;
    return this;
  }

  boolean isOfKey() {
    return ofKey;
  }

  /** One of its messages has gone back: none after it may be handled. */
  void breakOff() {
    broken = true;
  }

  boolean isBroken() {
    return broken;
  }
}
