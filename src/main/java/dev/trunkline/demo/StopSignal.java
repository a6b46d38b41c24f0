package dev.trunkline.demo;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Says once and for all that no more orders are to be taken. Thread-safe. */
final class StopSignal {
  private final CountDownLatch requested = new CountDownLatch(1);

  void request() {
    requested.countDown();
  }

  boolean isRequested() {
    return requested.getCount() == 0;
  }

  /** Waits; answers at once, and true, if it has been or is being requested. */
  boolean await(Duration atMost) {
    try {
      return requested.await(atMost.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      // Whoever interrupts a thread of the demo wants it to end.
      Thread.currentThread().interrupt();
      return true;
    }
  }
}
