package dev.trunkline.internal.loop;

import java.time.Duration;

/** One round of a loop. Never runs concurrently with itself. */
@FunctionalInterface
public interface Step {
  /**
   * Does a bounded piece of work.
   *
   * @return how long until the next round is due; zero means at once
   */
  Duration runOnce() throws InterruptedException;
}
