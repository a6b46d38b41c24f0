package dev.trunkline.queue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Who in this process waits for messages of which queue, and where their claims begin. Thread-safe.
 *
 * <p>A signal only makes things faster: those who wait also look by themselves.
 */
final class Signals {
  private final Map<Integer, Listeners> queues = new ConcurrentHashMap<>();

  /** Those who wait for one queue. */
  private record Listeners(Lanes lanes, Set<Runnable> waiting) {}

  /** A queue that somebody waits for, or claims from. */
  record Watched(int queueId, Lanes lanes) {}

  /** Ends a subscription. */
  @FunctionalInterface
  interface Subscription extends AutoCloseable {
    @Override
    void close();
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
   * commit.
   */
  void expect(int queueId) {
    Listeners listeners = queues.get(queueId);
    if (listeners != null) {
      listeners.waiting().forEach(Runnable::run);
    }
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
        queueId, id -> new Listeners(new Lanes(), ConcurrentHashMap.newKeySet()));
  }
}
