package dev.trunkline.queue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Deliveries that are claimed and not handled yet: those that wait for a handler, and those that
 * run. Bounded in count and bytes by what {@link #room} lets the fetcher claim. Thread-safe.
 */
final class Prefetched {
  private final int maxMessages;
  private final long maxBytes;
  private final BlockingQueue<Delivery> waiting = new LinkedBlockingQueue<>();
  private int messages;
  private long bytes;

  Prefetched(int maxMessages, long maxBytes) {
    this.maxMessages = maxMessages;
    this.maxBytes = maxBytes;
  }

  /** How much may be claimed now. */
  record Room(int messages, long bytes) {}

  /**
   * Room for a claim that is worth its round trip: none until half of the messages have been
   * handled, unless nothing waits.
   */
  synchronized Room room() {
    int free = maxMessages - messages;
    boolean worthIt = free * 2 >= maxMessages || waiting.isEmpty();
    boolean fits = messages == 0 || bytes < maxBytes;
    return worthIt && fits
        ? new Room(Math.max(0, free), Math.max(1, maxBytes - bytes))
        : new Room(0, 0);
  }

  synchronized void add(List<Delivery> deliveries) {
    for (Delivery delivery : deliveries) {
      messages++;
      bytes += delivery.bytes();
    }
    waiting.addAll(deliveries);
  }

  /** The next one to handle; waits for it. */
  Delivery take() throws InterruptedException {
    return waiting.take();
  }

  /** This one is handled, or given back. */
  synchronized void remove(Delivery delivery) {
    messages--;
    bytes -= delivery.bytes();
  }

  /** Whether nothing is claimed and not handled. */
  synchronized boolean isEmpty() {
    return messages == 0;
  }

  /** All that wait; they are no longer handed out, but still counted. */
  List<Delivery> drain() {
    List<Delivery> drained = new ArrayList<>();
    waiting.drainTo(drained);
    return drained;
  }
}
