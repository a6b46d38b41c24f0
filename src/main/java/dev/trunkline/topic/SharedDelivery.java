package dev.trunkline.topic;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.internal.work.HeldLease;
import dev.trunkline.internal.work.VisibilityTimeout;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A record in the hands of one consumer of a shared group, hidden from the group's others until it
 * is settled or its visibility timeout is over. Other groups have nothing to do with it.
 * Thread-safe.
 *
 * <p>In a push handler, return an {@link Outcome}; the methods here are for pulled deliveries, and
 * for a handler that wants to settle before it returns. A delivery is settled once: a second time,
 * and after the lease was lost, each of them throws {@link LeaseLostException} and changes nothing.
 * If the database cannot be reached they throw {@link dev.trunkline.error.DatabaseException} and
 * may be called again.
 */
public final class SharedDelivery {
  private final String group;
  private final TopicRecord record;
  private final int deliveries;
  private final int acquired;
  private final SharedSettler settler;
  private final AtomicBoolean settled = new AtomicBoolean();
  private volatile HeldLease lease;

  SharedDelivery(
      String group,
      TopicRecord record,
      SharedClaimStore.Claimed claimed,
      HeldLease lease,
      SharedSettler settler) {
    this.group = group;
    this.record = record;
    this.deliveries = claimed.deliveries();
    this.acquired = claimed.acquired();
    this.lease = lease;
    this.settler = settler;
  }

  /** The name of the group. */
  public String group() {
    return group;
  }

  /** The record: what was published, and its place in the log. */
  public TopicRecord record() {
    return record;
  }

  /** What was published. */
  public Message message() {
    return record.message();
  }

  /** Which attempt of this group this is: 1 at first, one more for each that failed or was lost. */
  public int attempt() {
    return deliveries + 1;
  }

  /**
   * How often this group has claimed the record, this time included; released claims count here,
   * but are no attempts.
   */
  public int acquired() {
    return acquired;
  }

  /**
   * Whether the record was claimed before, whatever became of that claim, so that this one may
   * repeat its effects.
   */
  public boolean isRedelivered() {
    return acquired > 1;
  }

  /**
   * Whether the library knows that the lease is gone, so that going on is likely wasted. False is
   * no promise: only settling tells for certain.
   */
  public boolean isLeaseLost() {
    return lease.isLost();
  }

  /**
   * The group is done with the record.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void ack() {
    settle(Outcome.ack());
  }

  /**
   * Gives the record back to be tried again by the group's retry policy; counts as a failed
   * attempt.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void retry() {
    settle(Outcome.retry());
  }

  /**
   * Gives the record back to be tried again after a delay; counts as a failed attempt.
   *
   * @param after zero to 365 days
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void retry(Duration after) {
    settle(Outcome.retry(after));
  }

  /**
   * Gives the record back at once; does not count as an attempt.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void release() {
    settle(Outcome.release());
  }

  /**
   * Copies the record to the dead letters; the group is done with it.
   *
   * @param detail why, for whoever looks at it later
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void deadLetter(String detail) {
    settle(Outcome.deadLetter(detail));
  }

  /**
   * Settles by an outcome.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void settle(Outcome outcome) {
    settler.settleNow(this, Verdict.of(outcome));
  }

  /**
   * Hides the record for longer, counted from now. Other records of the same batch keep their time.
   *
   * @param visibilityTimeout 1 ms to 12 h
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void extend(Duration visibilityTimeout) {
    Duration checked = VisibilityTimeout.check("visibilityTimeout", visibilityTimeout);
    if (settled.get()) {
      throw leaseLost();
    }
    lease = settler.extend(this, checked);
  }

  HeldLease lease() {
    return lease;
  }

  long id() {
    return record.id().value();
  }

  long bytes() {
    return record.message().payload().length;
  }

  /** Whoever gets true settles; nobody else may. */
  boolean beginSettling() {
    return settled.compareAndSet(false, true);
  }

  /** The settling came to nothing: it may be tried again. */
  void settlingFailed() {
    settled.set(false);
  }

  LeaseLostException leaseLost() {
    return new LeaseLostException(
        record.topic(), group, record.partition(), record.offset(), lease.id());
  }

  @Override
  public String toString() {
    return "SharedDelivery[topic=%s, group=%s, partition=%d, offset=%d, attempt=%d]"
        .formatted(record.topic(), group, record.partition(), record.offset(), attempt());
  }
}
