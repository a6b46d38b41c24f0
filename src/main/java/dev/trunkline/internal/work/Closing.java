package dev.trunkline.internal.work;

import dev.trunkline.internal.loop.Workers;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * How a consumer is closed: once, by whoever comes first, while the others wait for it; within a
 * timeout, which an interrupt of the calling thread ends; and by a handler of its own without
 * waiting for that handler. Thread-safe.
 */
public final class Closing {
  /** As long as nanoseconds can be reckoned with. */
  private static final Duration FOR_EVER = Duration.ofDays(36_500);

  private final String name;
  private final Workers workers;
  private final Stoppable consumer;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final CountDownLatch stopped = new CountDownLatch(1);

  /** What is closed. */
  public interface Stoppable {
    /** From now on nothing is begun. Quick; may be called more than once. */
    void beginStop();

    /**
     * Stops. Called once.
     *
     * @return whether the calling thread was interrupted meanwhile; its flag is clear then
     */
    boolean stop(Duration timeout);
  }

  /**
   * For one consumer.
   *
   * @param name of it, for the name of a thread
   */
  public Closing(String name, Workers workers, Stoppable consumer) {
    this.name = name;
    this.workers = workers;
    this.consumer = consumer;
  }

  /**
   * Closes, or waits until somebody else has. If the calling thread is interrupted, the timeout is
   * over at once, and the thread is left interrupted. Called by one of the workers it returns at
   * once: a handler that waited for itself would wait for ever.
   *
   * @throws IllegalArgumentException if the timeout is negative
   */
  public void close(Duration timeout) {
    if (timeout.isNegative()) {
      throw new IllegalArgumentException("timeout must not be negative: " + timeout);
    }
    consumer.beginStop();
    if (workers.includeThisThread()) {
      Thread closer = new Thread(() -> close(timeout), "trunkline-" + name + "-closer");
      closer.setDaemon(true);
      closer.start();
      return;
    }
    boolean interrupted = Thread.interrupted();
    if (closed.compareAndSet(false, true)) {
      try {
        interrupted |= consumer.stop(interrupted ? Duration.ZERO : timeout);
      } finally {
        stopped.countDown();
      }
    } else {
      interrupted |= !awaitStopped();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Waits until handlers are done. Idle workers wait for work that does not come: only those that
   * run are asked for.
   *
   * @return whether the calling thread was interrupted meanwhile; its flag is clear then
   */
  public boolean awaitHandlers(BooleanSupplier anyRuns, Duration timeout) {
    Duration atMost = timeout.compareTo(FOR_EVER) < 0 ? timeout : FOR_EVER;
    long end = System.nanoTime() + atMost.toNanos();
    try {
      while (anyRuns.getAsBoolean() && System.nanoTime() - end < 0) {
        workers.await(Duration.ofMillis(5));
      }
      return false;
    } catch (InterruptedException e) {
      return true;
    }
  }

  private boolean awaitStopped() {
    try {
      stopped.await();
      return true;
    } catch (InterruptedException e) {
      return false;
    }
  }
}
