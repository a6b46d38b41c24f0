package dev.trunkline.queue;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * A mark that moves up, and where it stood some time ago: a transaction that began before the mark
 * was moved, and commits after, is still above the old one. Thread-safe.
 */
final class LaggedMark {
  private final long lagNanos;
  private final LongSupplier nanoClock;
  private long newest;
  private long newer;
  private long older;
  private long movedNanos;

  LaggedMark(Duration lag, LongSupplier nanoClock) {
    this.lagNanos = lag.toNanos();
    this.nanoClock = nanoClock;
    this.movedNanos = nanoClock.getAsLong();
  }

  synchronized void moveTo(long mark) {
    rotate();
    newest = mark;
  }

  /**
   * Where the mark stood, at least the lag ago. It changes only when the mark is moved: whoever
   * moves it has then looked from here on, and so at all that was committed late.
   */
  synchronized long before() {
    return older;
  }

  private void rotate() {
    long now = nanoClock.getAsLong();
    if (now - movedNanos >= lagNanos) {
      movedNanos = now;
      older = newer;
      newer = newest;
    }
  }
}
