package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.retry.FailurePolicy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * A FIFO queue in which a million messages of one key wait: how long the messages of other keys
 * take, from before they are sent to the handler, with that backlog and without.
 */
final class HotKeyRun {
  private static final int WAITING = 1_000_000;
  private static final int PER_SEND = 10_000;
  private static final int COLD_PER_SECOND = 200;
  private static final int COLD_KEYS = 1_000;
  private static final int CONCURRENCY = 8;

  private final Server server;
  private final Duration time;
  private final Payloads payloads = new Payloads();

  HotKeyRun(Server server, Duration time) {
    this.server = server;
    this.time = time;
  }

  Report run() {
    Report report = new Report("queue-hot-key");
    report.line(
        "FIFO by key, %d handlers, %d/s to %d other keys; send to handler in ms",
        CONCURRENCY, COLD_PER_SECOND, COLD_KEYS);
    report.line("");
    report.row("", "p50", "p99", "max", "hot msg/s");
    try (Trunkline trunkline = Trunkline.open(server.pool())) {
      Queue queue =
          trunkline.queue(
              "hot-" + ProcessHandle.current().pid(),
              QueueConfig.defaults().withFifoByKey(FailurePolicy.BLOCK));
      try {
        measure(new Report("warm-up"), queue, "warm-up", "warm");
        measure(report, queue, "without a backlog", "idle");
        fill(queue);
        measure(report, queue, "behind a million of one key", "hot");
      } finally {
        queue.delete();
      }
    }
    return report;
  }

  private void fill(Queue queue) {
    for (int sent = 0; sent < WAITING; sent += PER_SEND) {
      List<Message> messages = new ArrayList<>(PER_SEND);
      for (int i = 0; i < PER_SEND; i++) {
        messages.add(Message.bytes(payloads.get(sent + i)).withKey("hot"));
      }
      queue.sendAll(messages);
    }
  }

  private void measure(Report report, Queue queue, String name, String prefix) {
    int count = (int) (COLD_PER_SECOND * time.toSeconds());
    Map<String, Long> sentAt = new ConcurrentHashMap<>();
    Map<String, Long> took = new ConcurrentHashMap<>();
    AtomicLong hot = new AtomicLong();
    long began = System.nanoTime();
    try (Consumer consumer =
        queue.consume(
            ConsumerConfig.defaults().withConcurrency(CONCURRENCY),
            delivery -> {
              String key = delivery.message().key().orElseThrow();
              if (key.equals("hot")) {
                hot.incrementAndGet();
              } else {
                String id = String.valueOf(delivery.message().headers().get("n"));
                Long at = sentAt.get(id);
                if (at != null) {
                  took.put(id, System.nanoTime() - at);
                }
              }
              return Outcome.ack();
            })) {
      for (int i = 0; i < count; i++) {
        long due = began + TimeUnit.SECONDS.toNanos(1) / COLD_PER_SECOND * i;
        while (System.nanoTime() < due) {
          LockSupport.parkNanos(due - System.nanoTime());
        }
        String id = String.valueOf(i);
        sentAt.put(id, System.nanoTime());
        queue.send(
            Message.bytes(payloads.get(i)).withKey("cold-" + i % COLD_KEYS).withHeader("n", id));
      }
      while (took.size() < count) {
        LockSupport.parkNanos(1_000_000);
      }
    }
    double seconds = (System.nanoTime() - began) / 1e9;
    Quantiles quantiles = new Quantiles(count);
    took.values().forEach(quantiles::add);
    report.row(
        name,
        quantiles.millis(0.5),
        quantiles.millis(0.99),
        quantiles.millis(1),
        hot.get() / seconds);
    report
        .number(prefix + "P50Ms", quantiles.millis(0.5), 2)
        .number(prefix + "P99Ms", quantiles.millis(0.99), 2)
        .number(prefix + "MaxMs", quantiles.millis(1), 2)
        .number(prefix + "HotPerSecond", hot.get() / seconds, 0);
  }
}
