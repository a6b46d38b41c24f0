package dev.trunkline.internal.work;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.LongSupplier;
import java.util.function.ToLongFunction;

/**
 * Deliveries that are claimed and not handled yet: those that wait for a handler, and those that
 * run. Thread-safe.
 *
 * <p>How many may be claimed ahead follows the handlers: about what they finished in the last tenth
 * of a second, so that fast ones are fed by large claims, and slow ones leave messages to other
 * consumers. Bounded in count and bytes by what {@link #room} lets the fetcher claim.
 *
 * @param <D> what a delivery is
 */
public final class Prefetched<D> {
  private static final double AHEAD_SECONDS = 0.1;
  private static final long WINDOW_NANOS = 10_000_000;

  private final int concurrency;
  private final int maxMessages;
  private final long maxBytes;
  private final ToLongFunction<D> size;
  private final LongSupplier nanoClock;
  private final BlockingQueue<D> waiting = new LinkedBlockingQueue<>();
  private final Set<D> unfinished = new HashSet<>();
  private long bytes;
  private double handledPerSecond;
  private int handledInWindow;
  private long windowNanos;

  /**
   * For so many handlers.
   *
   * @param maxMessages bound on what is claimed and not handled
   * @param maxBytes bound on the bytes of it; one delivery is claimed whatever its size
   * @param size the bytes of a delivery
   */
  public Prefetched(
      int concurrency,
      int maxMessages,
      long maxBytes,
      ToLongFunction<D> size,
      LongSupplier nanoClock) {
    this.concurrency = concurrency;
    this.maxMessages = maxMessages;
    this.maxBytes = maxBytes;
    this.size = size;
    this.nanoClock = nanoClock;
    this.windowNanos = nanoClock.getAsLong();
  }

  /** How much may be claimed now. */
  public record Room(int messages, long bytes) {}

  /**
   * Room for a claim that is worth its round trip: none until half of what may be held has been
   * handled, unless nothing waits.
   */
  public synchronized Room room() {
    measure();
    int may = (int) Math.min(maxMessages, concurrency + handledPerSecond * AHEAD_SECONDS);
    int free = may - unfinished.size();
    boolean worthIt = free * 2 >= may || waiting.isEmpty();
    boolean fits = unfinished.isEmpty() || bytes < maxBytes;
    return free > 0 && worthIt && fits
        ? new Room(free, Math.max(1, maxBytes - bytes))
        : new Room(0, 0);
  }

  private void measure() {
    long now = nanoClock.getAsLong();
    long elapsed = now - windowNanos;
    if (elapsed >= WINDOW_NANOS) {
      handledPerSecond = 0.5 * handledPerSecond + 0.5 * handledInWindow * 1e9 / elapsed;
      handledInWindow = 0;
      windowNanos = now;
    }
  }

  /** These were claimed. */
  public synchronized void add(List<D> deliveries) {
    for (D delivery : deliveries) {
      unfinished.add(delivery);
      bytes += size.applyAsLong(delivery);
    }
    waiting.addAll(deliveries);
  }

  /** The next one to handle; waits for it. */
  public D take() throws InterruptedException {
    return waiting.take();
  }

  /** This one is handled. */
  public synchronized void handled(D delivery) {
    handledInWindow++;
    givenBack(delivery);
  }

  /** This one was not handled, and is not held any longer. */
  public synchronized void givenBack(D delivery) {
    if (unfinished.remove(delivery)) {
      bytes -= size.applyAsLong(delivery);
    }
  }

  /** Whether nothing is claimed and not handled. */
  public synchronized boolean isEmpty() {
    return unfinished.isEmpty();
  }

  /** All that are claimed and not handled, whether a handler has them yet or not. */
  public synchronized List<D> unfinished() {
    return List.copyOf(unfinished);
  }

  /** All that wait; they are no longer handed out, but still counted. */
  public List<D> drain() {
    List<D> drained = new ArrayList<>();
    waiting.drainTo(drained);
    return drained;
  }
}
