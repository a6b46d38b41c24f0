package dev.trunkline.topic;

import dev.trunkline.internal.work.Renewals;
import java.time.Duration;
import java.util.Collection;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A lease of a shared group as the process that holds it sees it: the token, and which of its
 * records are not settled yet, by their ids. Thread-safe.
 *
 * <p>Whether the lease is still held is for the database to say; {@link #isLost} only remembers
 * what it said last.
 */
final class SharedLease implements Renewals.Renewable {
  private final long id;
  private final long claimedNanos = System.nanoTime();
  private final Set<Long> open = ConcurrentHashMap.newKeySet();
  private volatile Duration hiddenFor;
  private volatile long renewedNanos = claimedNanos;
  private volatile boolean lost;
  private volatile @Nullable Renewals renewals;

  SharedLease(long id, Duration hiddenFor, Collection<Long> recordIds) {
    this.id = id;
    this.hiddenFor = hiddenFor;
    open.addAll(recordIds);
  }

  @Override
  public long id() {
    return id;
  }

  @Override
  public Duration hiddenFor() {
    return hiddenFor;
  }

  /** Records that have not been settled. */
  Set<Long> open() {
    return open;
  }

  void settled(Collection<Long> recordIds) {
    open.removeAll(recordIds);
  }

  @Override
  public void lose() {
    lost = true;
    open.clear();
  }

  boolean isLost() {
    return lost;
  }

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

  /** Who renews it; a record that is given a lease of its own is renewed by the same. */
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
