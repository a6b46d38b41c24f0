package dev.trunkline.topic;

import dev.trunkline.error.TrunklineException;
import dev.trunkline.internal.loop.DueTime;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A member of a shared group in this process: under its id leases are held, and by its heartbeat
 * they are kept. Thread-safe.
 */
final class SharedMember {
  private final SharedGroupRow group;
  private final DueTime due = new DueTime();
  private final Set<Runnable> waiting = ConcurrentHashMap.newKeySet();
  private final AtomicBoolean paused = new AtomicBoolean();
  private volatile long id;
  private volatile @Nullable TrunklineException end;

  /** Joined just now. */
  SharedMember(SharedGroupRow group, long id) {
    this.group = group;
    this.id = id;
    due.onBroughtForward(this::wake);
  }

  SharedGroupRow group() {
    return group;
  }

  /** The id it has now: another one after it had been taken for dead. */
  long id() {
    return id;
  }

  void rejoined(long newId) {
    id = newId;
    wake();
  }

  /** It cannot go on: its group is gone. */
  void ended(TrunklineException reason) {
    end = reason;
    wake();
  }

  /** Why it is no member any more, or null. */
  @Nullable TrunklineException end() {
    return end;
  }

  /**
   * Whether its group is paused: what was last heard. It saves claims, and tells consumers to give
   * back what waits; that nothing is claimed is for the claim to see to.
   */
  boolean isPaused() {
    return paused.get();
  }

  /** Its group is paused, or is not. Wakes all who wait, if that is news. */
  void paused(boolean whether) {
    if (paused.getAndSet(whether) != whether) {
      if (whether) {
        wake();
      } else {
        // What fell due meanwhile was not looked for.
        dueIn(0);
      }
    }
  }

  /** Ends a watch. */
  @FunctionalInterface
  interface Watch extends AutoCloseable {
    @Override
    void close();
  }

  /** Calls {@code wake}, from any thread, when there may be something. It must be quick. */
  Watch watch(Runnable wake) {
    waiting.add(wake);
    return () -> waiting.remove(wake);
  }

  /** Wakes all who wait for records here. */
  void wake() {
    waiting.forEach(Runnable::run);
  }

  /** A waiting record is due in so many milliseconds. */
  void dueIn(long millis) {
    due.in(millis);
    if (millis <= 0) {
      wake();
    }
  }

  /** How long until a waiting record is due, as far as is known. */
  Duration untilDue() {
    return due.remaining();
  }

  /** Nothing is known to be due. To be called before looking. */
  void clearDue() {
    due.clear();
  }
}
