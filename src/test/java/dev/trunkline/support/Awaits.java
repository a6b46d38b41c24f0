package dev.trunkline.support;

import java.time.Duration;
import java.util.concurrent.Callable;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionFactory;
import org.awaitility.core.ThrowingRunnable;

/** Waiting for what another thread or process does: looks every 5 ms, for 20 s at most. */
public final class Awaits {
  private static final Duration POLL = Duration.ofMillis(5);
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private Awaits() {}

  /** Waits until the condition holds. */
  public static void until(Callable<Boolean> condition) {
    await().until(condition);
  }

  /** Waits until the assertions pass; fails with the last failure of theirs. */
  public static void untilAsserted(ThrowingRunnable assertions) {
    await().untilAsserted(assertions);
  }

  /** For another patience, or to say what is waited for. */
  public static ConditionFactory await() {
    return Awaitility.await().pollDelay(Duration.ZERO).pollInterval(POLL).atMost(PATIENCE);
  }
}
