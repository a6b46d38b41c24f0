package dev.trunkline.demo;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;

/** How fast a counter grows, over the last few seconds. Not thread-safe. */
final class Throughput {
  private static final long WINDOW = TimeUnit.SECONDS.toNanos(5);

  private final Deque<Reading> readings = new ArrayDeque<>();

  private record Reading(long nanos, long count) {}

  /** Adds a reading. */
  void read(long nanos, long count) {
    while (readings.size() > 1 && nanos - readings.getFirst().nanos() > WINDOW) {
      readings.removeFirst();
    }
    readings.addLast(new Reading(nanos, count));
  }

  /** Growth per second between the oldest and the newest reading of the window. */
  double perSecond() {
    if (readings.size() < 2) {
      return 0;
    }
    Reading oldest = readings.getFirst();
    Reading newest = readings.getLast();
    return (newest.count() - oldest.count()) * 1e9 / Math.max(1, newest.nanos() - oldest.nanos());
  }
}
