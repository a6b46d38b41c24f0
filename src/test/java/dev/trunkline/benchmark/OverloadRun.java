package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Bounds;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/**
 * Producers that could send ten times as fast as the consumer handles, on a bounded queue: what
 * waits, how large tables and heap become, and whether all arrives.
 */
final class OverloadRun {
  private static final int BOUND = 10_000;
  private static final int PRODUCERS = 2;
  private static final int BATCH = 20;
  private static final int HANDLERS = 50;
  private static final int SLOWER = 10;
  private static final Duration UNHINDERED = Duration.ofSeconds(6);
  private static final Duration SLICE = Duration.ofSeconds(10);

  /** What the library writes to for each message. */
  private static final String TABLES =
      """
      SELECT sum(pg_total_relation_size(name::regclass))
      FROM unnest(ARRAY[
        'trunkline.message', 'trunkline.ready', 'trunkline.lease', 'trunkline.scheduled', 'trunkline.tally']) AS name
      """;

  private final Server server;
  private final Duration time;
  private final Payloads payloads = new Payloads();
  private final LongAdder sent = new LongAdder();
  private final LongAdder sentIds = new LongAdder();
  private final LongAdder handled = new LongAdder();
  private final LongAdder handledIds = new LongAdder();
  private final AtomicLong deepest = new AtomicLong();
  private volatile boolean stopped;

  OverloadRun(Server server, Duration time) {
    this.server = server;
    this.time = time;
  }

  Report run() throws Exception {
    server.vacuumSoon();
    try (Trunkline trunkline = Trunkline.open(server.pool())) {
      String name = "overload-" + ProcessHandle.current().pid();
      Queue free = trunkline.queue(name + "-free", QueueConfig.defaults());
      double offered = unhindered(free);
      free.purge();
      free.delete();
      double slow = offered / SLOWER;
      Report report = new Report("queue-overload");
      report.line(
          "unhindered producers send %.0f/s, the consumer handles %.0f/s, at most %d wait",
          offered, slow, BOUND);
      report.line("");
      report.row("", "sent/s", "handled/s", "deepest", "tables MiB", "heap MiB");
      Queue queue =
          trunkline.queue(name, QueueConfig.defaults().withBounds(Bounds.messages(BOUND)));
      try {
        overload(report, queue, slow);
      } finally {
        queue.delete();
      }
      return report.number("offeredRate", offered, 0);
    }
  }

  private double unhindered(Queue queue) throws Exception {
    List<Future<?>> working = new ArrayList<>();
    ExecutorService threads = Executors.newCachedThreadPool();
    produce(queue, threads, working);
    pause(UNHINDERED);
    stopped = true;
    finish(threads, working);
    double rate = sent.sumThenReset() * 1e9 / UNHINDERED.toNanos();
    sentIds.reset();
    stopped = false;
    return rate;
  }

  private void overload(Report report, Queue queue, double rate) throws Exception {
    long handlerNanos = (long) (HANDLERS * 1e9 / rate);
    HeapWatch heap = new HeapWatch();
    List<Future<?>> working = new ArrayList<>();
    ExecutorService threads = Executors.newCachedThreadPool();
    long firstTables = 0;
    long lastTables = 0;
    long sentAfterFirst = 0;
    long handledAfterFirst = 0;
    long deepestOfAll = 0;
    int slices = (int) Math.max(2, time.toNanos() / SLICE.toNanos());
    try (Consumer consumer =
        queue.consume(
            ConsumerConfig.defaults().withConcurrency(HANDLERS),
            delivery -> {
              LockSupport.parkNanos(handlerNanos);
              handled.increment();
              handledIds.add(delivery.id().value());
              return Outcome.ack();
            })) {
      produce(queue, threads, working);
      for (int slice = 0; slice < slices; slice++) {
        long sentBefore = sent.sum();
        long handledBefore = handled.sum();
        deepest.set(0);
        watch(queue, time.dividedBy(slices));
        double seconds = time.dividedBy(slices).toNanos() / 1e9;
        long tables = server.query(TABLES, row -> row.getLong(1)).get(0);
        if (slice == 0) {
          firstTables = tables;
        } else {
          sentAfterFirst += sent.sum() - sentBefore;
          handledAfterFirst += handled.sum() - handledBefore;
        }
        lastTables = tables;
        deepestOfAll = Math.max(deepestOfAll, deepest.get());
        report.row(
            "slice " + (slice + 1),
            (sent.sum() - sentBefore) / seconds,
            (handled.sum() - handledBefore) / seconds,
            deepest.get(),
            tables / 1048576.0,
            heap.highestAfterCollection() / 1048576.0);
      }
      stopped = true;
      finish(threads, working);
      while (handled.sum() < sent.sum() && !consumer.isClosed()) {
        pause(Duration.ofMillis(50));
      }
    }
    report.line("");
    report.line("sent %d, handled %d", sent.sum(), handled.sum());
    report
        .number("sent", sent.sum(), 0)
        .number("handled", handled.sum(), 0)
        .number("sameIds", sentIds.sum() == handledIds.sum() ? 1 : 0, 0)
        .number("sentPerHandled", sentAfterFirst / (double) handledAfterFirst, 3)
        .number("deepest", deepestOfAll, 0)
        .number("firstTablesMiB", firstTables / 1048576.0, 1)
        .number("lastTablesMiB", lastTables / 1048576.0, 1)
        .number("heapAfterGcMiB", heap.highestAfterCollection() / 1048576.0, 1);
  }

  private void produce(Queue queue, ExecutorService threads, List<Future<?>> working) {
    for (int producer = 0; producer < PRODUCERS; producer++) {
      working.add(
          threads.submit(
              () -> {
                for (int i = 0; !stopped; i += BATCH) {
                  List<Message> batch = new ArrayList<>(BATCH);
                  for (int j = 0; j < BATCH; j++) {
                    batch.add(Message.bytes(payloads.get(i + j)));
                  }
                  queue.sendAll(batch).forEach(id -> sentIds.add(id.value()));
                  sent.add(BATCH);
                }
                return null;
              }));
    }
    threads.shutdown();
  }

  private static void finish(ExecutorService threads, List<Future<?>> working) throws Exception {
    if (!threads.awaitTermination(2, TimeUnit.MINUTES)) {
      threads.shutdownNow();
    }
    for (Future<?> worker : working) {
      worker.get();
    }
  }

  private void watch(Queue queue, Duration howLong) {
    long end = System.nanoTime() + howLong.toNanos();
    while (System.nanoTime() < end) {
      QueueStats stats = queue.stats();
      deepest.accumulateAndGet(stats.ready() + stats.scheduled(), Math::max);
      pause(Duration.ofMillis(20));
    }
  }

  private static void pause(Duration howLong) {
    long end = System.nanoTime() + howLong.toNanos();
    for (long left = howLong.toNanos(); left > 0; left = end - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }
}
