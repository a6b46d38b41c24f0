package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/**
 * How late a delayed message reaches its handler, while a million others wait for their time.
 *
 * <p>Messages are sent at a steady rate with a time of delivery within the next seconds. Late is
 * the start of the handler after that time, by the clock that the server and this process share.
 */
final class DelayRun {
  private static final int WAITING = 1_000_000;
  private static final int CHUNK = 20_000;
  private static final int PER_SECOND = 200;
  private static final int SHORTEST_MS = 200;
  private static final int LONGEST_MS = 5_000;
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final Server server;
  private final int count;
  private final AtomicLongArray dueMicros;
  private final AtomicLongArray handledMicros;
  private final Payloads payloads = new Payloads();
  private final Random random = new Random(5);

  DelayRun(Server server, Duration time) {
    this.server = server;
    this.count = (int) (PER_SECOND * time.toSeconds());
    this.dueMicros = new AtomicLongArray(count);
    this.handledMicros = new AtomicLongArray(count);
  }

  Report run() {
    try (Trunkline trunkline = Trunkline.open(server.pool())) {
      Queue queue =
          trunkline.queue(
              "benchmark-delay-" + ProcessHandle.current().pid(), QueueConfig.defaults());
      try {
        double loadSeconds = load(queue);
        try (Consumer consumer =
            queue.consume(
                ConsumerConfig.defaults().withConcurrency(4),
                delivery -> {
                  int number = ByteBuffer.wrap(delivery.message().payload()).getInt();
                  handledMicros.compareAndSet(number, 0, micros(Instant.now()));
                  return Outcome.ack();
                })) {
          send(queue);
          await();
        }
        return report(queue.stats().scheduled(), loadSeconds);
      } finally {
        queue.delete();
      }
    }
  }

  /** Due between two hours and a day from now: none of them during the run. */
  private double load(Queue queue) {
    long begin = System.nanoTime();
    for (int first = 0; first < WAITING; first += CHUNK) {
      List<Message> messages = new ArrayList<>(CHUNK);
      for (int i = 0; i < CHUNK; i++) {
        messages.add(
            Message.bytes(payloads.get(first + i))
                .withDelay(Duration.ofSeconds(7_200 + random.nextInt(79_200))));
      }
      queue.sendAll(messages);
    }
    return (System.nanoTime() - begin) / 1e9;
  }

  private void send(Queue queue) {
    long begin = System.nanoTime();
    for (int number = 0; number < count; number++) {
      long at = begin + number * TimeUnit.SECONDS.toNanos(1) / PER_SECOND;
      for (long left = at - System.nanoTime(); left > 0; left = at - System.nanoTime()) {
        LockSupport.parkNanos(left);
      }
      byte[] payload = payloads.get(number).clone();
      ByteBuffer.wrap(payload).putInt(number);
      Instant due =
          Instant.ofEpochMilli(
              System.currentTimeMillis() + SHORTEST_MS + random.nextInt(LONGEST_MS - SHORTEST_MS));
      dueMicros.set(number, micros(due));
      queue.send(Message.bytes(payload).withDeliverAt(due));
    }
  }

  private void await() {
    long end = System.nanoTime() + PATIENCE.toNanos();
    for (int number = 0; number < count; number++) {
      while (handledMicros.get(number) == 0) {
        if (System.nanoTime() - end > 0) {
          throw new IllegalStateException("message %d was never handled".formatted(number));
        }
        LockSupport.parkNanos(1_000_000);
      }
    }
  }

  private Report report(long stillScheduled, double loadSeconds) {
    Quantiles late = new Quantiles(count);
    int early = 0;
    for (int number = 0; number < count; number++) {
      long micros = handledMicros.get(number) - dueMicros.get(number);
      early += micros < 0 ? 1 : 0;
      late.add(Math.max(0, micros) * 1_000);
    }
    Report report = new Report("queue-delay");
    report.line(
        "%,d scheduled (loaded at %,.0f/s) and left alone; %d/s more with 0.2 to 5 s of delay, %,d messages",
        stillScheduled, WAITING / loadSeconds, PER_SECOND, count);
    report.line("");
    report.row("ms", "p50", "p99", "p99.9", "max");
    report.row(
        "handler after the due time",
        late.millis(0.5),
        late.millis(0.99),
        late.millis(0.999),
        late.millis(1));
    report.line("too early: %d", early);
    return report
        .number("scheduled", stillScheduled, 0)
        .number("p50Ms", late.millis(0.5), 2)
        .number("p99Ms", late.millis(0.99), 2)
        .number("p999Ms", late.millis(0.999), 2)
        .number("maxMs", late.millis(1), 2)
        .number("early", early, 0);
  }

  private static long micros(Instant instant) {
    return TimeUnit.SECONDS.toMicros(instant.getEpochSecond()) + instant.getNano() / 1_000;
  }
}
