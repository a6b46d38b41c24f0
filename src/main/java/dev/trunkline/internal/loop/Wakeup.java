package dev.trunkline.internal.loop;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A flag that a thread can wait for. Signals that come while nobody waits are kept, and many are
 * one. Thread-safe; made without {@code synchronized}, so that virtual threads may use it.
 */
public final class Wakeup {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private boolean signalled;

  /** Wakes the waiting thread, or the next one to wait. */
  public void signal() {
    lock.lock();
    try {
      signalled = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for a signal and takes it.
   *
   * @param atMost how long; zero or less only looks
   * @return whether there was one
   */
  public boolean await(Duration atMost) throws InterruptedException {
    long left = saturatedNanos(atMost);
    lock.lockInterruptibly();
    try {
      while (!signalled && left > 0) {
        left = changed.awaitNanos(left);
      }
      boolean was = signalled;
      signalled = false;
      return was;
    } finally {
      lock.unlock();
    }
  }

  private static long saturatedNanos(Duration duration) {
    return duration.compareTo(Duration.ofDays(365)) > 0
        ? TimeUnit.DAYS.toNanos(365)
        : duration.toNanos();
  }
}
