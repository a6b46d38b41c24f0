package dev.trunkline.internal.loop;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * When a look may begin at the very beginning, instead of where the hints say: always while that is
 * cheap, else so seldom that it takes at most 2 % of the time. Not thread-safe.
 *
 * <p>It gets expensive only while an old snapshot keeps what died from being removed.
 */
public final class ProbeBudget {
  /** Below this it is what any statement takes on a busy machine. */
  private static final Duration CHEAP = Duration.ofMillis(20);

  private static final int PAUSE_PER_COST = 50;

  private final LongSupplier nanoClock;
  private long allowedAtNanos;

  /** Allowed from now on, by this clock. */
  public ProbeBudget(LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
    this.allowedAtNanos = nanoClock.getAsLong();
  }

  /** Whether a look may begin at the very beginning now. */
  public boolean allows() {
    return nanoClock.getAsLong() - allowedAtNanos >= 0;
  }

  /** A look from the beginning took so long. */
  public void spent(Duration cost) {
    if (cost.compareTo(CHEAP) > 0) {
      allowedAtNanos = nanoClock.getAsLong() + cost.toNanos() * PAUSE_PER_COST;
    }
  }
}
