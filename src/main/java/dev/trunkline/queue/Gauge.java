package dev.trunkline.queue;

import dev.trunkline.internal.loop.Wakeup;
import java.util.concurrent.locks.ReentrantLock;

/** What the senders to one bounded queue in this process have in common. Thread-safe. */
final class Gauge {
  /** Pressure is over when the queue has become emptier than it began by this share. */
  private static final double RELIEF = 0.1;

  private static final double ROUNDING = 1e-9;

  private final int queueId;
  private final String name;
  private final Bounds bounds;

  /** Senders that wait for room: one looks for it, the others stand behind it, in their order. */
  private final ReentrantLock line = new ReentrantLock(true);

  private final Wakeup room = new Wakeup();
  private volatile Depth lastSeen = new Depth(0, 0);
  private volatile boolean high;

  Gauge(QueueRow queue, Bounds bounds) {
    this.queueId = queue.id();
    this.name = queue.name();
    this.bounds = bounds;
  }

  int queueId() {
    return queueId;
  }

  String name() {
    return name;
  }

  Bounds bounds() {
    return bounds;
  }

  ReentrantLock line() {
    return line;
  }

  /** Signalled when something was taken out of the queue by this process. */
  Wakeup room() {
    return room;
  }

  /** A sender has looked. Answers the same depth. */
  Depth saw(Depth depth) {
    lastSeen = depth;
    return depth;
  }

  /** What a sender of this process saw last. */
  Depth lastSeen() {
    return lastSeen;
  }

  /** Whether a queue that is so full would change the pressure. */
  boolean wouldChange(Depth depth) {
    return high ? isRelieved(depth) : bounds.fullness(depth) >= bounds.pressureAt();
  }

  /** Takes note of it. Answers whether the pressure has changed. */
  boolean measured(Depth depth) {
    if (!wouldChange(depth)) {
      return false;
    }
    high = !high;
    return true;
  }

  boolean isHigh() {
    return high;
  }

  private boolean isRelieved(Depth depth) {
    double relief = Math.max(bounds.pressureAt() - RELIEF, bounds.pressureAt() / 2);
    return bounds.fullness(depth) < relief - ROUNDING;
  }
}
