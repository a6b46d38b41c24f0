package dev.trunkline.queue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * Who in this process waits for messages of which queue, and where their claims begin. Thread-safe.
 *
 * <p>A signal only makes things faster: those who wait also look by themselves.
 */
final class Signals {
  /**
   * Longer than a commit takes, even on a slow disk; who commits later is found by a later look.
   */
  private static final long EXPECTED_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private final LongSupplier nanoClock;
  private final Map<Integer, Listeners> queues = new ConcurrentHashMap<>();

  /**
   * Those who wait for one queue.
   *
   * @param expectedUntil until when a caller's commit is expected, in nanoseconds of the clock
   */
  private record Listeners(Lanes lanes, Set<Runnable> waiting, AtomicLong expectedUntil) {}

  /** A queue that somebody waits for, or claims from. */
  record Watched(int queueId, Lanes lanes) {}

  /** Ends a subscription. */
  @FunctionalInterface
  interface Subscription extends AutoCloseable {
    @Override
    void close();
  }

  Signals(LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
  }

  /** The hints of a queue, one for the whole process. */
  Lanes lanes(int queueId) {
    return listeners(queueId).lanes();
  }

  /** Calls {@code wake}, from any thread, whenever there may be something new. It must be quick. */
  Subscription subscribe(int queueId, Runnable wake) {
    Set<Runnable> waiting = listeners(queueId).waiting();
    waiting.add(wake);
    return () -> waiting.remove(wake);
  }

  /** Runs became ready, by a commit of this process or one that it was told of. */
  void appeared(int queueId, Lanes.Announced runs) {
    Listeners listeners = queues.get(queueId);
    if (listeners != null) {
      listeners.lanes().appeared(runs);
      listeners.waiting().forEach(Runnable::run);
    }
  }

  /**
   * Something may become ready any moment: a transaction of the caller's has sent, and will perhaps
   * commit. Nobody will say when: those who wait look often for a while.
   */
  void expect(int queueId) {
    Listeners listeners = queues.get(queueId);
    if (listeners != null) {
      listeners.expectedUntil().set(nanoClock.getAsLong() + EXPECTED_NANOS);
      listeners.waiting().forEach(Runnable::run);
    }
  }

  /** Whether {@link #expect} was called a moment ago. */
  boolean isExpected(int queueId) {
    Listeners listeners = queues.get(queueId);
    return listeners != null && nanoClock.getAsLong() - listeners.expectedUntil().get() < 0;
  }

  /** Nobody knows what was missed: everyone looks. */
  void wakeAll() {
    queues.values().forEach(listeners -> listeners.waiting().forEach(Runnable::run));
  }

  /**
   * The queues that somebody waits for, or claims from without ever waiting: what commits below
   * where such claims begin has to be found for them, too.
   */
  List<Watched> watched() {
    return queues.entrySet().stream()
        .filter(
            entry -> !entry.getValue().waiting().isEmpty() || entry.getValue().lanes().areInUse())
        .map(entry -> new Watched(entry.getKey(), entry.getValue().lanes()))
        .toList();
  }

  boolean isWatched(int queueId) {
    Listeners listeners = queues.get(queueId);
    return listeners != null && !listeners.waiting().isEmpty();
  }

  private Listeners listeners(int queueId) {
    return queues.computeIfAbsent(
        queueId,
        id ->
            new Listeners(
                new Lanes(), ConcurrentHashMap.newKeySet(), new AtomicLong(nanoClock.getAsLong())));
  }
}
