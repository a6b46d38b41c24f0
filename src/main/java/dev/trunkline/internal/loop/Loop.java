package dev.trunkline.internal.loop;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that repeats a step until it is stopped, whatever happens. Thread-safe.
 *
 * <p>A step that fails (deadlock, lost connection, fail-over) is repeated after a back-off of 100
 * ms doubling to 10 s, with jitter; the failure is logged once when it begins and once when it is
 * over, not at every round.
 */
public final class Loop implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Loop.class);
  private static final Duration FIRST_BACKOFF = Duration.ofMillis(100);
  private static final Duration LONGEST_BACKOFF = Duration.ofSeconds(10);

  private final String name;
  private final Step step;
  private final Wakeup wakeup = new Wakeup();
  private final AtomicBoolean stopped = new AtomicBoolean();
  private final Thread thread;

  /**
   * Makes the loop; {@link #start} starts it.
   *
   * @param name of the thread and in the log
   * @param step what is repeated
   */
  public Loop(String name, Step step) {
    this.name = requireNonNull(name, "name");
    this.step = requireNonNull(step, "step");
    this.thread = new Thread(this::repeat, "trunkline-" + name);
    thread.setDaemon(true);
  }

  /** Starts the thread. Called once. */
  public Loop start() {
    thread.start();
    return this;
  }

  /** Makes the next round due now. */
  public void wake() {
    wakeup.signal();
  }

  /** Asks the loop to end after the round it is in. */
  public void stop() {
    stopped.set(true);
    wakeup.signal();
  }

  /**
   * Waits until the thread has ended.
   *
   * @return whether it has
   */
  public boolean await(Duration atMost) throws InterruptedException {
    if (thread == Thread.currentThread()) {
      return true;
    }
    thread.join(Math.max(1, atMost.toMillis()));
    return !thread.isAlive();
  }

  /**
   * Stops and waits up to 10 s for the round to end, then interrupts it. Idempotent. An interrupt
   * of the calling thread is passed on to the loop and restored.
   */
  @Override
  public void close() {
    stop();
    try {
      if (!await(Duration.ofSeconds(10))) {
        thread.interrupt();
      }
    } catch (InterruptedException e) {
      thread.interrupt();
      Thread.currentThread().interrupt();
    }
  }

  private void repeat() {
    IdleBackoff backoff = new IdleBackoff(FIRST_BACKOFF, LONGEST_BACKOFF);
    boolean failing = false;
    while (!stopped.get()) {
      Duration pause;
      try {
        pause = step.runOnce();
        backoff.reset();
        if (failing) {
          failing = false;
          LOG.info("{}: works again", name);
        }
      } catch (InterruptedException e) {
        return;
      } catch (RuntimeException | Error e) {
        pause = jittered(backoff.next());
        if (!failing && !stopped.get()) {
          failing = true;
          LOG.warn("{}: failed, is tried again until it works", name, e);
        } else {
          LOG.debug("{}: failed again", name, e);
        }
      }
      try {
        if (failing) {
          pauseWhateverSignals(pause);
        } else {
          wakeup.await(pause);
        }
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** After a failure a signal must not turn the back-off into a busy loop; a stop still ends it. */
  private void pauseWhateverSignals(Duration pause) throws InterruptedException {
    long end = System.nanoTime() + pause.toNanos();
    for (long left = pause.toNanos(); left > 0 && !stopped.get(); left = end - System.nanoTime()) {
      if (wakeup.await(Duration.ofNanos(left)) && !stopped.get()) {
        TimeUnit.NANOSECONDS.sleep(Math.min(left, TimeUnit.MILLISECONDS.toNanos(20)));
      }
    }
  }

  private static Duration jittered(Duration duration) {
    long millis = Math.max(1, duration.toMillis());
    return Duration.ofMillis(millis / 2 + ThreadLocalRandom.current().nextLong(millis / 2 + 1));
  }
}
