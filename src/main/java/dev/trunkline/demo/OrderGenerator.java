package dev.trunkline.demo;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Makes up orders at a steady rate until the demo is stopped. Thread-safe: any number of threads
 * share the rate.
 */
final class OrderGenerator {
  /** What was missed while the database was away or too slow is not made up for beyond this. */
  private static final long MOST_CATCHING_UP = TimeUnit.SECONDS.toNanos(1);

  private static final List<String> CUSTOMERS = List.of("ada", "grace", "edsger", "barbara");
  private static final List<String> ITEMS = List.of("book", "lamp", "chair", "bicycle", "teapot");

  private final Intake intake;
  private final StopSignal stop;
  private final int run;
  private final long period;
  private final AtomicLong count = new AtomicLong();
  private long due = System.nanoTime();

  /** Makes orders in the name of a run: its number makes the ids unique. */
  OrderGenerator(Intake intake, StopSignal stop, int run, double perSecond) {
    this.intake = intake;
    this.stop = stop;
    this.run = run;
    this.period = (long) (TimeUnit.SECONDS.toNanos(1) / perSecond);
  }

  /** Places orders until the demo is stopped. */
  void placeAll() {
    while (!stop.await(Duration.ofNanos(Math.max(0, nextDue() - System.nanoTime())))) {
      intake.placeInTheEnd(order(run, count.incrementAndGet()));
    }
  }

  /** The n-th order of a run, always the same. */
  static Order order(int run, long n) {
    String id = "G%d-%d".formatted(run, n);
    int quantity = (int) (n % 3) + 1;
    BigDecimal amount =
        Trouble.makesWorthless(id) ? new BigDecimal("0.00") : BigDecimal.valueOf(999 * quantity, 2);
    return new Order(
        id,
        CUSTOMERS.get((int) (n % CUSTOMERS.size())) + "@example.com",
        ITEMS.get((int) (n % ITEMS.size())),
        quantity,
        amount);
  }

  private synchronized long nextDue() {
    long now = System.nanoTime();
    if (now - due > MOST_CATCHING_UP) {
      due = now;
    }
    long mine = due;
    due += period;
    return mine;
  }
}
