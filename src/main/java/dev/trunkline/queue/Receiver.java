package dev.trunkline.queue;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.loop.IdleBackoff;
import dev.trunkline.internal.loop.Wakeup;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/** Pulls: claims now, or as soon as there is something. Thread-safe. */
final class Receiver {
  private static final Duration FIRST_WAIT = Duration.ofMillis(5);
  private static final Duration LAST_WAIT = Duration.ofSeconds(1);

  /**
   * Looks that follow an empty one without waiting for it: another claimer may have had a run
   * locked for a moment.
   */
  private static final int QUICK_LOOKS = 3;

  private static final Duration BETWEEN_QUICK_LOOKS = Duration.ofMillis(2);

  private final Engine engine;
  private final int queueId;
  private final Claimer claimer;
  private final ReentrantLock turn = new ReentrantLock();

  Receiver(Engine engine, QueueRow queue, Claimer claimer) {
    this.engine = engine;
    this.queueId = queue.id();
    this.claimer = claimer;
  }

  /**
   * Claims until there is something, the wait is over, the thread is interrupted, or the Trunkline
   * is closed.
   */
  List<Delivery> receive(ReceiveOptions options) {
    try {
      return await(options);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return List.of();
    } catch (DatabaseException e) {
      // A pool gives no connection to an interrupted thread, nor when it is closed.
      if (Thread.currentThread().isInterrupted() || engine.isClosed()) {
        return List.of();
      }
      throw e;
    }
  }

  private List<Delivery> await(ReceiveOptions options) throws InterruptedException {
    Wakeup wakeup = new Wakeup();
    long end = System.nanoTime() + options.maxWait().toNanos();
    List<Delivery> deliveries = claimInTime(options, end);
    if (deliveries.isEmpty() && engine.forgetHints(queueId)) {
      // Nothing where the hints say: a caller who does not wait is not told so on the word of a
      // hint.
      deliveries = claimAll(options);
    }
    if (!deliveries.isEmpty()) {
      return deliveries;
    }
    Signals.Subscription subscription = engine.signals().subscribe(queueId, wakeup::signal);
    try {
      engine.listen();
      IdleBackoff idle = new IdleBackoff(FIRST_WAIT, LAST_WAIT);
      for (int look = 0; ; look++) {
        Duration left = Duration.ofNanos(end - System.nanoTime());
        Duration pause = look < QUICK_LOOKS ? BETWEEN_QUICK_LOOKS : shorter(idle.next(), left);
        Duration held = claimer.heldFor();
        if (!held.isZero() && look >= QUICK_LOOKS) {
          pause = shorter(held, left);
        }
        boolean over = look >= QUICK_LOOKS && (left.isNegative() || left.isZero());
        if (over || engine.isClosed()) {
          return List.of();
        }
        if (wakeup.await(pause) || engine.signals().isExpected(queueId)) {
          idle.reset();
        }
        deliveries = claimInTime(options, end);
        if (!deliveries.isEmpty()) {
          return deliveries;
        }
      }
    } finally {
      subscription.close();
    }
  }

  /**
   * Claims when it is worth it. One of the callers who may wait lets a stream gather, the others
   * wait for what he leaves.
   */
  private List<Delivery> claimInTime(ReceiveOptions options, long end) throws InterruptedException {
    Duration pause = shorter(claimer.gathering().left(), Duration.ofNanos(end - System.nanoTime()));
    if (pause.isNegative() || pause.isZero()) {
      return claimAll(options);
    }
    boolean mine = turn.tryLock(pause.toNanos(), TimeUnit.NANOSECONDS);
    try {
      if (mine) {
        new Wakeup().await(shorter(claimer.gathering().left(), pause));
      }
      return claimAll(options);
    } finally {
      if (mine) {
        turn.unlock();
      }
    }
  }

  /** As many as asked for, if they are there: a claim may come back with less than there is. */
  private List<Delivery> claimAll(ReceiveOptions options) {
    List<Delivery> all = new ArrayList<>();
    long bytes = 0;
    while (true) {
      Claimer.Claim claim;
      try {
        claim =
            claimer.claim(
                Math.min(options.maxMessages() - all.size(), Claimer.MAX_MESSAGES),
                Math.max(1, options.maxBytes() - bytes),
                options.visibilityTimeout());
      } catch (DatabaseException e) {
        if (all.isEmpty()) {
          throw e;
        }
        // What is here is claimed, or even deleted: it must not be forgotten.
        return all;
      }
      all.addAll(claim.deliveries());
      for (Delivery delivery : claim.deliveries()) {
        bytes += delivery.bytes();
      }
      boolean enough = all.size() >= options.maxMessages() || bytes >= options.maxBytes();
      // A claim may bring nothing though there is more: what had expired.
      boolean held = !claim.heldFor().isZero();
      if (enough || held || claim.exhausted()) {
        return all;
      }
    }
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }
}
