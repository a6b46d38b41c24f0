package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
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
final class Renewals implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Renewals.class);
  private static final Duration IDLE = Duration.ofSeconds(1);

  private final String queue;
  private final Database database;
  private final Duration maxTotal;
  private final Set<Lease> leases = ConcurrentHashMap.newKeySet();
  private final Loop loop;

  /**
   * For one consumer.
   *
   * @param maxTotal how old a lease may get by being renewed
   */
  Renewals(String queue, Database database, Duration maxTotal) {
    this.queue = queue;
    this.database = database;
    this.maxTotal = maxTotal;
    this.loop = new Loop(queue + "-renewals", this::renewDue);
  }

  void start() {
    loop.start();
  }

  /** Renews this lease until it is over. */
  void add(Lease lease) {
    lease.renewedBy(this);
    leases.add(lease);
    if (third(lease).compareTo(IDLE) < 0) {
      loop.wake();
    }
  }

  private Duration renewDue() {
    leases.removeIf(Lease::isOver);
    Map<Long, List<Lease>> due =
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

  private void renew(List<Lease> some, long visibilityTimeoutMs) {
    long[] ids = some.stream().mapToLong(Lease::id).sorted().toArray();
    Set<Long> held =
        new HashSet<>(
            database.run(session -> SettleStore.extend(session, ids, visibilityTimeoutMs)));
    for (Lease lease : some) {
      if (held.contains(lease.id())) {
        lease.renewed();
      } else if (!lease.isOver()) {
        // Not over, and yet gone: taken back by a reaper, or purged.
        lease.lose();
        LOG.warn("{}: lease {} is lost, its messages are delivered again", queue, lease.id());
      }
    }
  }

  private boolean mayBeRenewed(Lease lease) {
    if (lease.age().compareTo(maxTotal) < 0) {
      return true;
    }
    leases.remove(lease);
    LOG.warn(
        "{}: lease {} is not renewed any longer, it is {} old", queue, lease.id(), lease.age());
    return false;
  }

  private static Duration third(Lease lease) {
    return lease.hiddenFor().dividedBy(3);
  }

  @Override
  public void close() {
    loop.close();
  }
}
