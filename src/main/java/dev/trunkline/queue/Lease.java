package dev.trunkline.queue;

import dev.trunkline.internal.work.Renewals;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A lease as the process that holds it sees it: the token, and which of its messages are not
 * settled yet. Thread-safe.
 *
 * <p>Whether the lease is still held is for the database to say; {@link #isLost} only remembers
 * what it said last.
 */
final class Lease implements Renewals.Renewable {
  private final long id;
  private final int queueId;
  private final long claimedNanos;
  private final Set<Long> open = ConcurrentHashMap.newKeySet();
  private volatile Duration hiddenFor;
  private volatile long renewedNanos;
  private volatile boolean ofKey;
  private volatile boolean broken;
  private volatile boolean lost;
  private volatile @Nullable Renewals renewals;

  Lease(long id, int queueId, Duration hiddenFor, Collection<Long> messageIds) {
    this(id, queueId, hiddenFor, messageIds, System.nanoTime(), System.nanoTime());
  }

  private Lease(
      long id,
      int queueId,
      Duration hiddenFor,
      Collection<Long> messageIds,
      long claimedNanos,
      long renewedNanos) {
    this.id = id;
    this.queueId = queueId;
    this.hiddenFor = hiddenFor;
    this.claimedNanos = claimedNanos;
    this.renewedNanos = renewedNanos;
    open.addAll(messageIds);
  }

  /** One of its messages in a lease of its own, claimed and renewed when this one was. */
  Lease apart(long ownId, long messageId) {
    return new Lease(ownId, queueId, hiddenFor, List.of(messageId), claimedNanos, renewedNanos);
  }

  @Override
  public long id() {
    return id;
  }

  int queueId() {
    return queueId;
  }

  /** The visibility timeout it was claimed with, or last extended by. */
  @Override
  public Duration hiddenFor() {
    return hiddenFor;
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

  /** Messages that have not been settled. */
  Set<Long> open() {
    return open;
  }

  void settled(Collection<Long> messageIds) {
    open.removeAll(messageIds);
  }

  @Override
  public void lose() {
    lost = true;
    open.clear();
  }

  boolean isLost() {
    return lost;
  }

  /** Nothing is left to renew or to settle. */
  @Override
  public boolean isOver() {
    return lost || open.isEmpty();
  }

  @Override
  public void renewed() {
    renewedNanos = System.nanoTime();
  }

  /** It is hidden for so long from now on. */
  void extended(Duration visibilityTimeout) {
    hiddenFor = visibilityTimeout;
    renewed();
  }

  /**
   * Who renews this lease, if anybody does; a message that is given a lease of its own is renewed
   * by the same.
   */
  Optional<Renewals> renewals() {
    return Optional.ofNullable(renewals);
  }

  /** Has it renewed by these from now on. */
  void renewBy(Renewals renewals) {
    this.renewals = renewals;
    renewals.add(this);
  }

  @Override
  public Duration age() {
    return Duration.ofNanos(System.nanoTime() - claimedNanos);
  }

  @Override
  public Duration sinceRenewed() {
    return Duration.ofNanos(System.nanoTime() - renewedNanos);
  }
}
