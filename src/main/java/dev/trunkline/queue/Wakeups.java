package dev.trunkline.queue;

import dev.trunkline.internal.loop.DueTime;
import java.util.List;

/**
 * Spreads the word that something is, or will be, ready: to those who wait in this process, to the
 * scheduler, and to the other processes. Thread-safe. Losing all of it only costs time.
 */
final class Wakeups {
  private final Signals signals;
  private final Announcer announcer;
  private final DueTime dueTime;

  Wakeups(Signals signals, Announcer announcer, DueTime dueTime) {
    this.signals = signals;
    this.announcer = announcer;
    this.dueTime = dueTime;
  }

  /** Runs were committed. */
  void ready(int queueId, List<Lanes.Announced> runs) {
    for (Lanes.Announced lane : runs) {
      signals.appeared(queueId, lane);
      announcer.ready(queueId, lane);
    }
  }

  /** A scheduled message was committed. */
  void dueIn(long millis) {
    dueTime.in(millis);
    announcer.dueIn(millis);
  }
}
