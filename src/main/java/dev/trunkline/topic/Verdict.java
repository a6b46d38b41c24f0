package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What becomes of a delivery of a shared group, once the handler's word or its exception has been
 * understood.
 */
sealed interface Verdict {

  /** The group is done with the record. */
  record Done() implements Verdict {}

  /** Try again after the delay, or by the group's policy; dead if that was the last try. */
  record Failed(Optional<Duration> after, @Nullable DeathError error, DeathReason ifLast)
      implements Verdict {}

  /**
   * A commit that was to ack the record failed, or its answer was lost: failed, if the lease still
   * holds it; else the commit took effect.
   */
  record Unsure(DeathError error) implements Verdict {
    Failed ifHeld() {
      return new Failed(Optional.empty(), error, DeathReason.DELIVERY_LIMIT);
    }
  }

  /** Back without counting. */
  record Released(Duration after) implements Verdict {}

  /** Dead. */
  record Dead(DeathReason reason, @Nullable String detail, @Nullable DeathError error)
      implements Verdict {}

  /** Understands a handler's word. The one place here that takes outcomes apart. */
  static Verdict of(Outcome outcome) {
    if (outcome instanceof Outcome.Retry retry) {
      return new Failed(retry.after(), null, DeathReason.DELIVERY_LIMIT);
    }
    if (outcome instanceof Outcome.Release release) {
      return new Released(release.after());
    }
    if (outcome instanceof Outcome.DeadLetter dead) {
      return new Dead(DeathReason.REJECTED, dead.detail(), null);
    }
    return new Done();
  }
}
