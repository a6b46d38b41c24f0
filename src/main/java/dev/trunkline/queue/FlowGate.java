package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.IdleBackoff;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * What stands before the claims of a queue that limits them: rate, cap, single active consumer. One
 * per claimer; thread-safe.
 */
final class FlowGate {
  /*
   * A claim runs in a transaction that holds the queue's advisory lock, so that over all processes one claim follows the
   * other, and each knows what those before it have taken: FlowStore.ASK, then the claim, then FlowStore.TOOK. A claimer
   * that finds the lock taken tries again in a moment.
   */
  private static final Duration FIRST_WAIT = Duration.ofMillis(4);
  private static final Duration LAST_WAIT = Duration.ofMillis(100);
  private static final Duration UNTIL_ACTIVE = Duration.ofHours(1);

  /** Where messages come faster than this, a claim waits for several. */
  private static final long WORTH_A_CLAIM_MICROS = 5_000;

  /** A rate that is altered is seen by then. */
  private static final long LONGEST_HOLD_MICROS = 1_000_000;

  private final Engine engine;
  private final QueueRow queue;
  private final IdleBackoff full = new IdleBackoff(FIRST_WAIT, LAST_WAIT);
  private volatile @Nullable Election election;
  private volatile long notBeforeNanos = System.nanoTime();

  FlowGate(Engine engine, QueueRow queue) {
    this.engine = engine;
    this.queue = queue;
  }

  /**
   * Only while this candidate is elected anything is claimed, if the queue is for one at a time.
   */
  void opensFor(Election elected) {
    this.election = elected;
  }

  /**
   * What a claim may take.
   *
   * @param messages so many; zero if none
   * @param heldFor how long until it is worth asking again, if it took all of that
   */
  private record Permit(int messages, Duration heldFor) {}

  /**
   * What came through.
   *
   * @param claimed what was claimed; empty if nothing was allowed to be
   * @param heldFor how long until it is worth asking again; zero if the gate is not what holds it
   *     up
   */
  record Passed<C>(Optional<C> claimed, Duration heldFor) {}

  /** A claim of at most so many messages, in the session's transaction. */
  @FunctionalInterface
  interface Claiming<C> {
    C claim(Session session, int messages);
  }

  /** Claims as much as the queue's rules allow, in one transaction with the question. */
  <C> Passed<C> pass(int messages, Claiming<C> claiming, ToIntFunction<C> count) {
    Duration held = heldFor();
    if (!held.isZero()) {
      return new Passed<>(Optional.empty(), held);
    }
    return engine
        .database()
        .inTransaction(
            session -> {
              Permit permit = ask(session, messages);
              if (permit.messages() == 0) {
                return new Passed<>(Optional.<C>empty(), permit.heldFor());
              }
              C claimed = claiming.claim(session, permit.messages());
              int taken = count.applyAsInt(claimed);
              took(session, taken);
              boolean all = taken >= permit.messages();
              return new Passed<>(Optional.of(claimed), all ? permit.heldFor() : Duration.ZERO);
            });
  }

  /** How long it would be of no use to ask; zero if it may be. */
  Duration heldFor() {
    Election elected = election;
    if (elected != null && elected.epoch() == 0) {
      return UNTIL_ACTIVE;
    }
    long left = notBeforeNanos - System.nanoTime();
    return left <= 0 ? Duration.ZERO : Duration.ofNanos(left);
  }

  /** Asks for so many messages, as the first statement of the transaction that claims them. */
  private Permit ask(Session session, int messages) {
    Optional<FlowStore.Answer> found = FlowStore.ask(session, queue.id(), engine.tallyFrom());
    if (found.isEmpty()) {
      // Deleted: the claim will find nothing.
      return new Permit(messages, Duration.ZERO);
    }
    FlowStore.Answer answer = found.get();
    if (!answer.locked()) {
      return new Permit(
          0, Duration.ofNanos(ThreadLocalRandom.current().nextLong(500_000, 2_500_000)));
    }
    if (answer.singleActive() && !isElected(answer.epoch())) {
      // The election has not found out yet.
      return new Permit(0, LAST_WAIT);
    }
    long allowed = messages;
    Duration wait = Duration.ZERO;
    if (answer.free().isPresent() && answer.free().getAsLong() < allowed) {
      allowed = Math.max(0, answer.free().getAsLong());
      wait = afterFull(allowed);
    }
    if (answer.rate().isPresent() && answer.rate().get().allowed() < allowed) {
      allowed = answer.rate().get().allowed();
      wait = holdUntilNext(answer.rate().get(), allowed);
    }
    return new Permit((int) allowed, wait);
  }

  /** So many were claimed, as the last statement of their transaction. */
  private void took(Session session, int messages) {
    if (messages > 0) {
      FlowStore.took(session, queue.id(), messages);
    }
  }

  private boolean isElected(long epoch) {
    Election elected = election;
    return elected != null && epoch != 0 && elected.epoch() == epoch;
  }

  private Duration afterFull(long allowed) {
    synchronized (full) {
      if (allowed > 0) {
        full.reset();
      }
      return full.next();
    }
  }

  /** Precisely until the next message, or until there are a few if they come fast. */
  private Duration holdUntilNext(FlowStore.Rate rate, long allowed) {
    long several =
        (long) Math.min(rate.burst() / 2.0, WORTH_A_CLAIM_MICROS / rate.microsPerMessage());
    long micros = rate.microsUntil(allowed + Math.max(1, several));
    Duration wait = Duration.ofNanos(Math.min(micros, LONGEST_HOLD_MICROS) * 1_000);
    notBeforeNanos = System.nanoTime() + wait.toNanos();
    return wait;
  }
}
