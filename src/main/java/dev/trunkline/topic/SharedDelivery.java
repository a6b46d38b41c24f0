package dev.trunkline.topic;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.internal.work.HeldLease;
import dev.trunkline.internal.work.Settling;
import dev.trunkline.internal.work.VisibilityTimeout;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import java.sql.Connection;
import java.time.Duration;
import org.jdbi.v3.core.Handle;

/**
 * A record in the hands of one consumer of a shared group, hidden from the group's others until it
 * is settled or its visibility timeout is over. Other groups have nothing to do with it.
 * Thread-safe.
 *
 * <p>In a push handler, return an {@link Outcome}; the methods here are for pulled deliveries, and
 * for a handler that wants to settle before it returns. (In a {@link SharedTransactionalHandler}
 * they throw {@link IllegalStateException}, but for {@link #extend}.) A delivery is settled once: a
 * second time, and after the lease was lost, each of them throws {@link LeaseLostException} and
 * changes nothing. If the database cannot be reached they throw {@link
 * dev.trunkline.error.DatabaseException} and may be called again.
 */
public final class SharedDelivery {
  private final String group;
  private final TopicRecord record;
  private final int deliveries;
  private final int acquired;
  private final SharedSettler settler;
  private final Settling settling = new Settling();
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
   * The group is done with the record if and when the caller's transaction commits, together with
   * the caller's SQL. From here until the transaction ends nobody else of the group can get the
   * record. First thing in the transaction, this keeps another consumer that got the record
   * meanwhile from doing the same work; called later it is as safe, and locks for a shorter time.
   *
   * <p>If the transaction is rolled back the delivery is as it was, and may be settled by any of
   * the methods here. As long as it has not ended, they throw {@link IllegalStateException}. The
   * connection is neither committed, rolled back nor closed.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before: the transaction has
   *     to be rolled back, else what was done in it is done twice
   */
  public void ack(Connection connection) {
    settler.ackIn(connection, this);
  }

  /** Like {@link #ack(Connection)}, with the connection of a Jdbi handle. */
  public void ack(Handle handle) {
    ack(handle.getConnection());
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
    if (settling.hasBegun()) {
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

  /** It is held by a lease of its own from now on. Answers that. */
  HeldLease movedTo(long leaseId) {
    HeldLease own = lease.apart(leaseId, id());
    lease = own;
    return own;
  }

  /** Who settles it. */
  Settling settling() {
    return settling;
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
