package dev.trunkline.demo;

import dev.trunkline.error.TrunklineException;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Where all orders come in: hands them to the order service and counts what became of them.
 * Thread-safe.
 */
final class Intake {
  /** More than there are threads that place orders: a permit is missing only once it is closed. */
  private static final int MOST_AT_ONCE = 1000;

  private static final Duration BETWEEN_TRIES = Duration.ofMillis(500);

  private final OrderService orders;
  private final StopSignal stop;
  private final Consumer<String> notices;
  private final Semaphore open = new Semaphore(MOST_AT_ONCE);
  private final AtomicBoolean away = new AtomicBoolean();
  private final AtomicLong accepted = new AtomicLong();
  private final AtomicLong known = new AtomicLong();
  private final AtomicLong refused = new AtomicLong();

  /**
   * An intake.
   *
   * @param notices told when the database goes away and comes back
   */
  Intake(OrderService orders, StopSignal stop, Consumer<String> notices) {
    this.orders = orders;
    this.stop = stop;
    this.notices = notices;
  }

  /**
   * Places an order, once.
   *
   * @return empty if the demo is ending: the order was not looked at
   */
  Optional<Placement> place(Order order) throws SQLException {
    if (!open.tryAcquire()) {
      return Optional.empty();
    }
    try {
      return Optional.of(counted(orders.place(order)));
    } finally {
      open.release();
    }
  }

  /**
   * Places an order, again and again while the database is away.
   *
   * @return empty if the demo was stopped meanwhile: it is not known whether the order is committed
   */
  Optional<Placement> placeInTheEnd(Order order) {
    if (!open.tryAcquire()) {
      return Optional.empty();
    }
    try {
      return untilPlaced(order);
    } finally {
      open.release();
    }
  }

  /** Takes no more orders; waits, at most so long, for those in hand. */
  void close(Duration atMost) {
    try {
      if (!open.tryAcquire(MOST_AT_ONCE, atMost.toNanos(), TimeUnit.NANOSECONDS)) {
        notices.accept("an order in hand is left behind: whether it is committed is not known");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Counts something that was no order. */
  void refuse() {
    refused.incrementAndGet();
  }

  /** Orders that this process has committed and been told so. */
  long accepted() {
    return accepted.get();
  }

  /** Orders that were committed before. */
  long known() {
    return known.get();
  }

  /** What was sent and is no order, or another one under the same id. */
  long refused() {
    return refused.get();
  }

  private Optional<Placement> untilPlaced(Order order) {
    boolean retried = false;
    do {
      try {
        Placement placement = orders.place(order);
        if (away.compareAndSet(true, false)) {
          notices.accept("the database is back");
        }
        // The commit before this one got through, and only its answer was lost.
        return Optional.of(
            counted(retried && placement == Placement.KNOWN ? Placement.ACCEPTED : placement));
      } catch (SQLException | TrunklineException e) {
        retried = true;
        if (away.compareAndSet(false, true)) {
          notices.accept("orders wait, the database does not take them: " + OneLine.of(e));
        }
      }
    } while (!stop.await(BETWEEN_TRIES));
    return Optional.empty();
  }

  private Placement counted(Placement placement) {
    AtomicLong counter =
        switch (placement) {
          case ACCEPTED -> accepted;
          case KNOWN -> known;
          case CONFLICTING -> refused;
        };
    counter.incrementAndGet();
    return placement;
  }
}
