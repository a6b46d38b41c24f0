package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.ReceiveOptions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/** One task in a JVM of its own; prints what it took as {@code name=number} lines. */
public final class SmallHeap {
  private static final int SENT = 100_000;
  private static final int PULLED = 1000;

  private SmallHeap() {}

  /** Takes the server's URL, the queue's name, and send, pull or push. */
  public static void main(String[] arguments) {
    try (Trunkline trunkline = Trunkline.open(arguments[0], "postgres", "")) {
      Queue queue = trunkline.queue(arguments[1]);
      HeapWatch heap = new HeapWatch();
      long begin = System.nanoTime();
      long messages =
          switch (arguments[2]) {
            case "send" -> send(queue);
            case "pull" -> pull(queue);
            case "push" -> push(queue);
            default -> throw new IllegalArgumentException(arguments[2]);
          };
      System.out.println("millis=" + (System.nanoTime() - begin) / 1_000_000);
      System.out.println("messages=" + messages);
      System.out.println("peakBytes=" + heap.peakBytes());
      System.out.println("afterGcBytes=" + heap.highestAfterCollection());
    }
  }

  private static long send(Queue queue) {
    Payloads payloads = new Payloads();
    List<Message> messages = new ArrayList<>(SENT);
    for (int i = 0; i < SENT; i++) {
      // Copied, so that all are there at once, as a caller's would be.
      messages.add(Message.bytes(payloads.get(i).clone()));
    }
    return queue.sendAll(messages).size();
  }

  private static long pull(Queue queue) {
    ReceiveOptions options = ReceiveOptions.defaults().withMaxMessages(PULLED);
    long count = 0;
    for (List<Delivery> deliveries = queue.receive(options);
        !deliveries.isEmpty();
        deliveries = queue.receive(options)) {
      queue.ackAll(deliveries);
      count += deliveries.size();
    }
    return count;
  }

  private static long push(Queue queue) {
    LongAdder handled = new LongAdder();
    ConsumerConfig config = ConsumerConfig.defaults().withPrefetch(2000);
    try (Consumer consumer =
        queue.consume(
            config,
            delivery -> {
              handled.increment();
              return Outcome.ack();
            })) {
      while (queue.stats().ready() + queue.stats().inFlight() > 0 && !consumer.isClosed()) {
        LockSupport.parkNanos(Duration.ofMillis(100).toNanos());
      }
    }
    return handled.sum();
  }
}
