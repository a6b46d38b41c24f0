package dev.trunkline.demo;

import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Orders from a file or from standard input, one JSON object per line. A line that is no order is
 * reported and left out. Thread-safe: any number of threads may read together.
 */
final class OrderFile {
  private final String name;
  private final OrderLines lines;
  private final Intake intake;
  private final StopSignal stop;
  private final Consumer<String> notices;
  private final AtomicLong lastLine = new AtomicLong();
  private final AtomicBoolean broken = new AtomicBoolean();
  private final AtomicBoolean complete = new AtomicBoolean();

  /**
   * Orders that are not read yet.
   *
   * @param notices told about every line that is no order
   */
  OrderFile(
      String name, OrderLines lines, Intake intake, StopSignal stop, Consumer<String> notices) {
    this.name = name;
    this.lines = lines;
    this.intake = intake;
    this.stop = stop;
    this.notices = notices;
  }

  /** Places orders until there are no more, or the demo is stopped. */
  void placeAll() {
    try {
      while (!stop.isRequested()) {
        Optional<OrderLines.Line> line = lines.next();
        if (line.isEmpty()) {
          complete.set(true);
          return;
        }
        place(line.get());
      }
    } catch (IOException e) {
      if (broken.compareAndSet(false, true)) {
        notices.accept(
            "%s: cannot be read after line %d: %s".formatted(name, lastLine.get(), OneLine.of(e)));
      }
    }
  }

  /** Whether reading failed. */
  boolean isBroken() {
    return broken.get();
  }

  /** Says how far it came, if that was not to the end. */
  void sayHowFar() {
    if (!complete.get() && !broken.get()) {
      notices.accept(
          "%s: stopped after line %d; give it again for the rest, what is known is not sent twice"
              .formatted(name, lastLine.get()));
    }
  }

  private void place(OrderLines.Line line) {
    try {
      Order order = OrderFormat.read(line.bytes());
      Optional<Placement> placement = intake.placeInTheEnd(order);
      if (placement.isEmpty()) {
        report(line, "stopped before order " + order.id() + " was known to be committed");
        return;
      }
      if (placement.get() == Placement.CONFLICTING) {
        report(line, "another order " + order.id() + " was placed before");
      }
    } catch (BadOrderException e) {
      intake.refuse();
      report(line, e.reason());
    }
    lastLine.accumulateAndGet(line.number(), Math::max);
  }

  private void report(OrderLines.Line line, String what) {
    notices.accept("%s, line %d: %s".formatted(name, line.number(), what));
  }
}
