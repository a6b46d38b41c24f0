package dev.trunkline.queue;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Has the deliveries of a key handled one after the other, in the order in which they were claimed,
 * whichever worker takes them up: who takes up one of a lease is given the first of that lease, or
 * nothing if another worker is at it, who then goes on with the next. Thread-safe.
 */
final class KeyOrder {
  /** What is left of a lease, and whether a worker is at it. */
  private static final class Line {
    private final Deque<Delivery> left = new ArrayDeque<>();
    private boolean busy;
  }

  private final Map<Lease, Line> lines = new HashMap<>();

  /** These will be taken up, in any order. */
  synchronized void claimed(List<Delivery> deliveries) {
    for (Delivery delivery : deliveries) {
      if (delivery.lease().isOfKey()) {
        lines.computeIfAbsent(delivery.lease(), lease -> new Line()).left.add(delivery);
      }
    }
  }

  /** What is to be handled by a worker who has taken this one up. */
  synchronized Optional<Delivery> takenUp(Delivery delivery) {
    Lease lease = delivery.lease();
    if (!lease.isOfKey()) {
      return Optional.of(delivery);
    }
    Line line = lines.get(lease);
    if (line == null || line.busy) {
      return Optional.empty();
    }
    line.busy = true;
    return next(line, lease);
  }

  /** What is to be handled next by the worker who has handled this one. */
  synchronized Optional<Delivery> next(Delivery handled) {
    Line line = lines.get(handled.lease());
    return line == null ? Optional.empty() : next(line, handled.lease());
  }

  private Optional<Delivery> next(Line line, Lease lease) {
    Delivery next = line.left.poll();
    if (next == null) {
      lines.remove(lease);
    }
    return Optional.ofNullable(next);
  }

  /**
   * This one is not to be taken up any more. Answers whether it was not: else a worker has it, or
   * has had it.
   */
  synchronized boolean withdraw(Delivery delivery) {
    Lease lease = delivery.lease();
    if (!lease.isOfKey()) {
      return true;
    }
    Line line = lines.get(lease);
    if (line == null || !line.left.remove(delivery)) {
      return false;
    }
    if (line.left.isEmpty() && !line.busy) {
      lines.remove(lease);
    }
    return true;
  }
}
