package dev.trunkline.demo;

import java.time.Duration;
import java.util.Optional;

/** Draws the table, and knows when a run is over. Used by one thread. */
final class Watch {
  private static final Duration TICK = Duration.ofMillis(500);
  private static final Duration BETWEEN_BLOCKS = Duration.ofSeconds(5);

  private final DemoOptions options;
  private final Display display;
  private final LiveTable table;
  private final Sources sources;
  private final StopSignal stop;
  private final StopSignal hurry;
  private long nextBlock = System.nanoTime() + BETWEEN_BLOCKS.toNanos();

  /**
   * A watch over one run.
   *
   * @param stop no more orders
   * @param hurry no waiting for what is left either
   */
  Watch(
      DemoOptions options,
      Display display,
      LiveTable table,
      Sources sources,
      StopSignal stop,
      StopSignal hurry) {
    this.options = options;
    this.display = display;
    this.table = table;
    this.sources = sources;
    this.stop = stop;
    this.hurry = hurry;
  }

  /** Returns when the sources have ended and what can be handled in time has been. */
  void untilTheEnd() {
    Optional<Long> end =
        options.end().seconds().map(seconds -> System.nanoTime() + seconds.toNanos());
    boolean complete = false;
    while (!complete && !stop.await(tick(end))) {
      complete = options.sources().isFileOnly() && isFileHandled();
      if (display.isGone() || end.isPresent() && end.get() - System.nanoTime() <= 0) {
        stop.request();
      } else if (!complete) {
        draw("running");
      }
    }
    sources.finish();
    drain();
    if (display.isInPlace()) {
      display.draw(table.lines("stopping, handlers at work finish"));
    }
  }

  /** Draws the table for the last time. */
  void lastLook() {
    table.look();
    display.draw(table.lines("ended"));
    display.keep();
  }

  private boolean isFileHandled() {
    boolean read = sources.isFileDone();
    table.look();
    return read && table.isAllHandled();
  }

  private void drain() {
    long end = System.nanoTime() + options.end().drain().toNanos();
    table.look();
    while (!table.isAllHandled() && !display.isGone() && end - System.nanoTime() > 0) {
      if (hurry.await(TICK)) {
        return;
      }
      draw("finishing, for %d s at most".formatted(options.end().drain().toSeconds()));
    }
  }

  private void draw(String activity) {
    table.look();
    if (display.isInPlace()) {
      display.draw(table.lines(activity));
    } else if (nextBlock - System.nanoTime() <= 0) {
      nextBlock = System.nanoTime() + BETWEEN_BLOCKS.toNanos();
      display.draw(table.lines(activity));
    }
  }

  private static Duration tick(Optional<Long> end) {
    long left = end.map(nanos -> Math.max(0, nanos - System.nanoTime())).orElse(Long.MAX_VALUE);
    return Duration.ofNanos(Math.min(TICK.toNanos(), left));
  }
}
