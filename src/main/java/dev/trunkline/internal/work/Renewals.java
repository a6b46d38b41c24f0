package dev.trunkline.internal.work;

import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Renews the leases of pushed deliveries, running and prefetched ones alike, at a third of their
 * visibility timeout: all that are due in one statement. Stops for a lease that is older than the
 * consumer's limit; it then expires. Thread-safe.
 */
public final class Renewals implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Renewals.class);
  private static final Duration IDLE = Duration.ofSeconds(1);

  private final String owner;
  private final Extender extender;
  private final Duration maxTotal;
  private final Set<Renewable> leases = ConcurrentHashMap.newKeySet();
  private final Loop loop;

  /** A lease that can be renewed, as the process that holds it sees it. */
  public interface Renewable {
    /** The fencing token. */
    long id();

    /** For how long it hides what it holds, from the last renewal on. */
    Duration hiddenFor();

    /** Since it was claimed. */
    Duration age();

    /** Since it was claimed or renewed. */
    Duration sinceRenewed();

    /** Whether nothing is left to renew. */
    boolean isOver();

    /** It was renewed just now. */
    void renewed();

    /** It is gone. */
    void lose();
  }

  /** Hides leases for longer. */
  @FunctionalInterface
  public interface Extender {
    /** Answers those that are still held. */
    Collection<Long> extend(long[] leaseIds, long visibilityTimeoutMs);
  }

  /**
   * For one consumer.
   *
   * @param owner begins the name of the thread, and the lines in the log
   * @param maxTotal how old a lease may get by being renewed
   */
  public Renewals(String owner, Extender extender, Duration maxTotal) {
    this.owner = owner;
    this.extender = extender;
    this.maxTotal = maxTotal;
    this.loop = new Loop(owner + "-renewals", this::renewDue);
  }

  /** Starts the thread. Called once. */
  public void start() {
    loop.start();
  }

  /** Renews this lease until it is over. */
  public void add(Renewable lease) {
    leases.add(lease);
    if (third(lease).compareTo(IDLE) < 0) {
      loop.wake();
    }
  }

  private Duration renewDue() {
    leases.removeIf(Renewable::isOver);
    Map<Long, List<Renewable>> due =
        leases.stream()
            .filter(lease -> lease.sinceRenewed().compareTo(third(lease)) >= 0)
            .filter(this::mayBeRenewed)
            .collect(Collectors.groupingBy(lease -> lease.hiddenFor().toMillis()));
    due.forEach((visibilityTimeoutMs, some) -> renew(some, visibilityTimeoutMs));
    return leases.stream()
        .map(lease -> third(lease).minus(lease.sinceRenewed()))
        .min(Duration::compareTo)
        .filter(next -> next.compareTo(IDLE) < 0)
        .map(next -> next.isNegative() ? Duration.ofMillis(1) : next)
        .orElse(IDLE);
  }

  private void renew(List<Renewable> some, long visibilityTimeoutMs) {
    long[] ids = some.stream().mapToLong(Renewable::id).sorted().toArray();
    Set<Long> held = new HashSet<>(extender.extend(ids, visibilityTimeoutMs));
    for (Renewable lease : some) {
      if (held.contains(lease.id())) {
        lease.renewed();
      } else if (!lease.isOver()) {
        // Not over, and yet gone: taken back by a reaper, or purged.
        lease.lose();
        LOG.warn("{}: lease {} is lost, its messages are delivered again", owner, lease.id());
      }
    }
  }

  private boolean mayBeRenewed(Renewable lease) {
    if (lease.age().compareTo(maxTotal) < 0) {
      return true;
    }
    leases.remove(lease);
    LOG.warn(
        "{}: lease {} is not renewed any longer, it is {} old", owner, lease.id(), lease.age());
    return false;
  }

  private static Duration third(Renewable lease) {
    return lease.hiddenFor().dividedBy(3);
  }

  @Override
  public void close() {
    loop.close();
  }
}
