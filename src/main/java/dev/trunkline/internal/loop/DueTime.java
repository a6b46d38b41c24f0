package dev.trunkline.internal.loop;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/**
 * When the next round of something is due, as far as this process knows: several sources may bring
 * it forward. Thread-safe.
 */
public final class DueTime {
  private static final Duration LONGEST = Duration.ofHours(1);

  private final AtomicLong atNanos = new AtomicLong(System.nanoTime());
  private volatile Runnable broughtForward = () -> {};

  /** Calls this whenever the time is brought forward. */
  public void onBroughtForward(Runnable wake) {
    broughtForward = wake;
  }

  /** Something is due in so many milliseconds, perhaps earlier than what was known. */
  public void in(long millis) {
    long at = System.nanoTime() + clamped(millis);
    long before = atNanos.getAndAccumulate(at, (known, added) -> added - known < 0 ? added : known);
    if (at - before < 0) {
      broughtForward.run();
    }
  }

  /**
   * Nothing is known to be due before the longest wait is over. To be called before looking, not
   * after.
   */
  public void clear() {
    atNanos.set(System.nanoTime() + LONGEST.toNanos());
  }

  /** How long until then; zero if it is past. */
  public Duration remaining() {
    return Duration.ofNanos(Math.max(0, atNanos.get() - System.nanoTime()));
  }

  private static long clamped(long millis) {
    return Duration.ofMillis(Math.min(Math.max(0, millis), LONGEST.toMillis())).toNanos();
  }
}
