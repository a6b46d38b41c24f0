package dev.trunkline.internal.work;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A lease as the process that holds it sees it: the token, and what of it is not settled yet, by
 * id. Thread-safe.
 *
 * <p>Whether the lease is still held is for the database to say; {@link #isLost} only remembers
 * what it said last.
 */
public class HeldLease implements Renewals.Renewable {
  private final long id;
  private final long claimedNanos;
  private final Set<Long> open = ConcurrentHashMap.newKeySet();
  private volatile Duration hiddenFor;
  private volatile long renewedNanos;
  private volatile boolean lost;
  private volatile @Nullable Renewals renewals;

  /**
   * Claimed just now.
   *
   * @param id the fencing token
   * @param hiddenFor the visibility timeout it was claimed with
   * @param ids of what it holds
   */
  public HeldLease(long id, Duration hiddenFor, Collection<Long> ids) {
    this.id = id;
    this.hiddenFor = hiddenFor;
    this.claimedNanos = System.nanoTime();
    this.renewedNanos = claimedNanos;
    open.addAll(ids);
  }

  /** Some of what another one holds, claimed and renewed when that was. */
  protected HeldLease(long id, HeldLease from, Collection<Long> ids) {
    this.id = id;
    this.hiddenFor = from.hiddenFor;
    this.claimedNanos = from.claimedNanos;
    this.renewedNanos = from.renewedNanos;
    open.addAll(ids);
  }

  /** Some of it in a lease of its own, claimed and renewed when this one was. */
  public HeldLease apart(long ownId, long openId) {
    return new HeldLease(ownId, this, List.of(openId));
  }

  @Override
  public long id() {
    return id;
  }

  /** The visibility timeout it was claimed with, or last extended by. */
  @Override
  public Duration hiddenFor() {
    return hiddenFor;
  }

  /** What has not been settled. */
  public Set<Long> open() {
    return open;
  }

  /** These have been settled. */
  public void settled(Collection<Long> ids) {
    open.removeAll(ids);
  }

  @Override
  public void lose() {
    lost = true;
    open.clear();
  }

  /** Whether it has been found lost. */
  public boolean isLost() {
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
  public void extended(Duration visibilityTimeout) {
    hiddenFor = visibilityTimeout;
    renewed();
  }

  /** Who renews it, if anybody does; what is given a lease of its own is renewed by the same. */
  public Optional<Renewals> renewals() {
    return Optional.ofNullable(renewals);
  }

  /** Has it renewed by these from now on. */
  public void renewBy(Renewals renewals) {
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
