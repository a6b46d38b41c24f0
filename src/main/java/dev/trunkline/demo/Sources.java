package dev.trunkline.demo;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Where the orders of a run come from, once they do. Not thread-safe. */
final class Sources {
  /** In the order of the lines: of two orders with one id the first one wins. */
  private static final int READERS = 1;

  private static final int GENERATORS = 4;

  /** Longer than the pool lets anybody wait for a connection. */
  private static final Duration LAST_ORDERS = Duration.ofSeconds(7);

  private final Intake intake;
  private final StopSignal stop;
  private final Optional<OrderEndpoint> endpoint;
  private @Nullable OrderFile file;
  private @Nullable Crew readers;

  /** Sources that do not flow yet. */
  Sources(Intake intake, StopSignal stop, Optional<OrderEndpoint> endpoint) {
    this.intake = intake;
    this.stop = stop;
    this.endpoint = endpoint;
  }

  /** Begins to read. */
  void read(String name, OrderLines lines, Consumer<String> notices) {
    OrderFile orders = new OrderFile(name, lines, intake, stop, notices);
    file = orders;
    readers = Crew.start("demo-orders", READERS, orders::placeAll);
  }

  /** Begins to make up orders. */
  void generate(OptionalDouble perSecond, int run) {
    if (perSecond.isPresent()) {
      OrderGenerator generator = new OrderGenerator(intake, stop, run, perSecond.getAsDouble());
      Crew.start("demo-generator", GENERATORS, generator::placeAll);
    }
  }

  /** Begins to answer requests. */
  void listen() {
    endpoint.ifPresent(each -> each.start(intake));
  }

  /** Whether a file was read to its end, and all its orders are placed. */
  boolean isFileDone() {
    return readers != null && readers.isDone();
  }

  /** Whether reading the file failed. */
  boolean isFileBroken() {
    return file != null && file.isBroken();
  }

  /** Ends them all; the orders in hand are committed, or known not to be. */
  void finish() {
    stop.request();
    intake.close(LAST_ORDERS);
    endpoint.ifPresent(OrderEndpoint::close);
    if (file != null) {
      file.sayHowFar();
    }
  }
}
