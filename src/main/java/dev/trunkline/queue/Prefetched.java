package dev.trunkline.queue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.LongSupplier;

/**
 * Deliveries that are claimed and not handled yet: those that wait for a handler, and those that
 * run. Thread-safe.
 *
 * <p>How many may be claimed ahead follows the handlers: about what they finished in the last tenth
 * of a second, so that fast ones are fed by large claims, and slow ones leave messages to other
 * consumers. Bounded in count and bytes by what {@link #room} lets the fetcher claim.
 */
final class Prefetched {
  private static final double AHEAD_SECONDS = 0.1;
  private static final long WINDOW_NANOS = 10_000_000;

  private final int concurrency;
  private final int maxMessages;
  private final long maxBytes;
  private final LongSupplier nanoClock;
  private final BlockingQueue<Delivery> waiting = new LinkedBlockingQueue<>();
  private final Set<Delivery> unfinished = new HashSet<>();
  private long bytes;
  private double handledPerSecond;
  private int handledInWindow;
  private long windowNanos;

  Prefetched(ConsumerConfig config, LongSupplier nanoClock) {
    this.concurrency = config.concurrency();
    this.maxMessages = config.prefetch();
    this.maxBytes = config.prefetchBytes();
    this.nanoClock = nanoClock;
    this.windowNanos = nanoClock.getAsLong();
  }

  /** How much may be claimed now. */
  record Room(int messages, long bytes) {}

  /**
   * Room for a claim that is worth its round trip: none until half of what may be held has been
   * handled, unless nothing waits.
   */
  synchronized Room room() {
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

  synchronized void add(List<Delivery> deliveries) {
    for (Delivery delivery : deliveries) {
      unfinished.add(delivery);
      bytes += delivery.bytes();
    }
    waiting.addAll(deliveries);
  }

  /** The next one to handle; waits for it. */
  Delivery take() throws InterruptedException {
    return waiting.take();
  }

  /** This one is handled. */
  synchronized void handled(Delivery delivery) {
    handledInWindow++;
    givenBack(delivery);
  }

  /** This one was not handled, and is not held any longer. */
  synchronized void givenBack(Delivery delivery) {
    unfinished.remove(delivery);
    bytes -= delivery.bytes();
  }

  /** Whether nothing is claimed and not handled. */
  synchronized boolean isEmpty() {
    return unfinished.isEmpty();
  }

  /** All that are claimed and not handled, whether a handler has them yet or not. */
  synchronized List<Delivery> unfinished() {
    return List.copyOf(unfinished);
  }

  /** All that wait; they are no longer handed out, but still counted. */
  List<Delivery> drain() {
    List<Delivery> drained = new ArrayList<>();
    waiting.drainTo(drained);
    return drained;
  }
}
