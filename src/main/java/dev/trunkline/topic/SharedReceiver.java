package dev.trunkline.topic;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.internal.loop.IdleBackoff;
import dev.trunkline.internal.loop.Wakeup;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/** Pulls from a shared group: claims now, or as soon as there is something. Thread-safe. */
final class SharedReceiver {
  private static final Duration SHORTEST = Duration.ofMillis(2);
  private static final Duration LONGEST = Duration.ofSeconds(1);

  /**
   * Looks that follow one that found only what others had locked, even if the caller does not wait:
   * a claim has it locked for a moment.
   */
  private static final int QUICK_LOOKS = 3;

  private final SharedMember member;
  private final SharedClaimer claimer;
  private final Tail tail;
  private final BooleanSupplier closed;

  SharedReceiver(SharedMember member, SharedClaimer claimer, Tail tail, BooleanSupplier closed) {
    this.member = member;
    this.claimer = claimer;
    this.tail = tail;
    this.closed = closed;
  }

  /** Claims until there is something, the wait is over, the thread is interrupted, or it closes. */
  List<SharedDelivery> receive(PollOptions options, Optional<Duration> visibilityTimeout) {
    try {
      return await(options, visibilityTimeout);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return List.of();
    } catch (DatabaseException e) {
      // A pool gives no connection to an interrupted thread, nor when it is closed.
      if (Thread.currentThread().isInterrupted() || closed.getAsBoolean()) {
        return List.of();
      }
      throw e;
    }
  }

  private List<SharedDelivery> await(PollOptions options, Optional<Duration> visibilityTimeout)
      throws InterruptedException {
    long end = System.nanoTime() + options.maxWait().toNanos();
    Wakeup wakeup = new Wakeup();
    IdleBackoff idle = new IdleBackoff(SHORTEST, LONGEST);
    Tail.Watch grown = tail.watch(wakeup::signal);
    SharedMember.Watch due = member.watch(wakeup::signal);
    try {
      for (int look = 0; ; look++) {
        requireMember();
        Got got = claimAll(options, visibilityTimeout);
        if (!got.deliveries().isEmpty()) {
          return got.deliveries();
        }
        if (look == 0) {
          // What was committed before the call is found, whoever has published it.
          tail.boundsForSure();
          got = claimAll(options, visibilityTimeout);
          if (!got.deliveries().isEmpty()) {
            return got.deliveries();
          }
        }
        Duration left = Duration.ofNanos(end - System.nanoTime());
        boolean over = left.isNegative() || left.isZero();
        if (closed.getAsBoolean() || (over && !(got.busy() && look < QUICK_LOOKS))) {
          return List.of();
        }
        if (got.busy()) {
          idle.reset();
        }
        Duration pause = got.busy() && over ? SHORTEST : shorter(idle.next(), left);
        if (wakeup.await(shorter(pause, atLeastShortest(member.untilDue())))) {
          idle.reset();
        }
      }
    } finally {
      grown.close();
      due.close();
    }
  }

  private record Got(List<SharedDelivery> deliveries, boolean busy) {}

  /** As many as asked for, if they are there: a claim is of one partition. */
  private Got claimAll(PollOptions options, Optional<Duration> visibilityTimeout) {
    List<SharedDelivery> all = new ArrayList<>();
    long bytes = 0;
    while (true) {
      SharedClaimer.Claim claim;
      try {
        claim =
            claimer.claim(
                Math.min(options.maxRecords() - all.size(), SharedClaimer.MAX_RECORDS),
                Math.max(1, options.maxBytes() - bytes),
                visibilityTimeout,
                all.isEmpty());
      } catch (DatabaseException e) {
        if (all.isEmpty()) {
          throw e;
        }
        // What an earlier claim got is the caller's; the next call fails if it is still so.
        return new Got(all, false);
      }
      if (closed.getAsBoolean()) {
        claim.deliveries().forEach(SharedReceiver::giveBack);
        all.forEach(SharedReceiver::giveBack);
        return new Got(List.of(), false);
      }
      all.addAll(claim.deliveries());
      for (SharedDelivery delivery : claim.deliveries()) {
        bytes += delivery.bytes();
      }
      boolean enough = all.size() >= options.maxRecords() || bytes >= options.maxBytes();
      if (enough || claim.deliveries().isEmpty()) {
        return new Got(all, claim.busy());
      }
    }
  }

  /** Claimed while the group was being closed: whoever closes may have looked before. */
  private static void giveBack(SharedDelivery delivery) {
    try {
      delivery.release();
    } catch (LeaseLostException e) {
      // He has given it back himself.
    }
  }

  private void requireMember() {
    TrunklineException end = member.end();
    if (end != null) {
      throw end;
    }
  }

  private static Duration atLeastShortest(Duration duration) {
    return duration.compareTo(SHORTEST) < 0 ? SHORTEST : duration;
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }
}
