package dev.trunkline.queue;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.internal.work.Settling;
import dev.trunkline.internal.work.VisibilityTimeout;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import java.sql.Connection;
import java.time.Duration;
import java.time.Instant;
import org.jdbi.v3.core.Handle;

/**
 * A message in the hands of one consumer, hidden from the others until it is settled or its
 * visibility timeout is over. Thread-safe.
 *
 * <p>In a push handler, return an {@link Outcome}; the methods here are for pulled deliveries, and
 * for a handler that wants to settle before it returns. (In a {@link TransactionalHandler} they
 * throw {@link IllegalStateException}, but for {@link #extend}.) A delivery is settled once: a
 * second time, and after the lease was lost, each of them throws {@link LeaseLostException} and
 * changes nothing. If the database cannot be reached they throw {@link
 * dev.trunkline.error.DatabaseException} and may be called again.
 */
public final class Delivery {
  private final String queue;
  private final MessageId id;
  private final MessageRow row;
  private final int deliveries;
  private final int acquired;
  private final Settler settler;
  private final long expiresInMicros;
  private final long askedNanos;
  private final Settling settling = new Settling();
  private volatile Lease lease;

  /**
   * A message of a claim.
   *
   * @param askedNanos when the claim was begun, by this process's clock: what is left of the
   *     message's time is counted from there, so that it is never taken for longer than it is
   */
  Delivery(
      String queue,
      Lease lease,
      ClaimStore.Claimed claimed,
      MessageRow row,
      Settler settler,
      long askedNanos) {
    this.queue = queue;
    this.lease = lease;
    this.id = new MessageId(claimed.id());
    this.row = row;
    this.deliveries = claimed.deliveries();
    this.acquired = claimed.acquired();
    this.settler = settler;
    this.expiresInMicros = claimed.expiresInMicros();
    this.askedNanos = askedNanos;
  }

  /** The name of the queue. */
  public String queue() {
    return queue;
  }

  /** The id of the message; the same at each delivery, and after a replay. */
  public MessageId id() {
    return id;
  }

  /** What was sent. */
  public Message message() {
    return row.message();
  }

  /** When it was sent: the start of the sender's transaction, by the database's clock. */
  public Instant enqueuedAt() {
    return row.enqueuedAt();
  }

  /** Which attempt this is: 1 at first, one more for each that failed or was lost. */
  public int attempt() {
    return deliveries + 1;
  }

  /**
   * How often the message was claimed, this time included; released claims count here, but are no
   * attempts.
   */
  public int acquired() {
    return acquired;
  }

  /**
   * Whether the message was claimed before, whatever became of that claim, so that this one may
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
   * Deletes the message: it is done.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void ack() {
    settle(Outcome.ack());
  }

  /**
   * Deletes the message as part of the caller's transaction: it is done if and when that commits,
   * together with the caller's SQL. From here until the transaction ends nobody else can get the
   * message. First thing in the transaction, this keeps another consumer that got the message
   * meanwhile from doing the same work; called later it is as safe, and locks for a shorter time.
   *
   * <p>If the transaction is rolled back the delivery is as it was, and may be settled by any of
   * the methods here. As long as it has not ended, they throw {@link IllegalStateException}. The
   * connection is neither committed, rolled back nor closed.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before: the transaction has
   *     to be rolled back, else what was done in it is done twice
   * @throws IllegalStateException in a FIFO queue, if others of its key that were received together
   *     with it are not settled yet
   */
  public void ack(Connection connection) {
    settler.ackIn(connection, this);
  }

  /** Like {@link #ack(Connection)}, with the connection of a Jdbi handle. */
  public void ack(Handle handle) {
    ack(handle.getConnection());
  }

  /**
   * Gives the message back to be tried again by the queue's retry policy; counts as a failed
   * attempt.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void retry() {
    settle(Outcome.retry());
  }

  /**
   * Gives the message back to be tried again after a delay; counts as a failed attempt.
   *
   * @param after zero to 365 days
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void retry(Duration after) {
    settle(Outcome.retry(after));
  }

  /**
   * Gives the message back at once; does not count as an attempt.
   *
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void release() {
    settle(Outcome.release());
  }

  /**
   * Moves the message to the dead letters.
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
   * Hides the message for longer, counted from now. Other messages of the same batch keep their
   * time, but for those of its key in a FIFO queue, which stay with it.
   *
   * @param visibilityTimeout 1 ms to 12 h
   * @throws LeaseLostException if it is no longer held, or was settled before
   */
  public void extend(Duration visibilityTimeout) {
    VisibilityTimeout.check("visibilityTimeout", visibilityTimeout);
    if (settling.hasBegun()) {
      throw leaseLost();
    }
    lease = settler.extend(this, visibilityTimeout);
  }

  /**
   * Whether the message's time is over, as far as this process can tell without asking the
   * database; a moment early rather than late.
   */
  boolean isExpired() {
    return expiresInMicros != ClaimStore.Claimed.NEVER
        && (System.nanoTime() - askedNanos) / 1_000 >= expiresInMicros;
  }

  /** Whether its time was over when it was claimed. */
  boolean wasExpired() {
    return expiresInMicros <= 0;
  }

  Lease lease() {
    return lease;
  }

  /** It is held by a lease of its own from now on. Answers that. */
  Lease movedTo(long leaseId) {
    Lease own = lease.apart(leaseId, id.value());
    lease = own;
    return own;
  }

  /** Who settles it. */
  Settling settling() {
    return settling;
  }

  int deliveries() {
    return deliveries;
  }

  long bytes() {
    return row.message().payload().length;
  }

  /** If it comes back, what comes after it of its key, if it has one, must not be handled. */
  void breaksOffBy(Verdict verdict) {
    boolean gone = verdict instanceof Verdict.Done || verdict instanceof Verdict.Expired;
    if (lease.isOfKey() && !gone) {
      lease.breakOff();
    }
  }

  LeaseLostException leaseLost() {
    return new LeaseLostException(queue, id.value(), lease.id());
  }

  @Override
  public String toString() {
    return "Delivery[queue=%s, id=%s, attempt=%d]".formatted(queue, id, attempt());
  }
}
