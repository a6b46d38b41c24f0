package dev.trunkline.benchmark;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/**
 * Producers and consumers at work on one contender. What is outstanding when they stop is there
 * when they start again. Used by one thread.
 */
final class Load implements AutoCloseable {
  /** Until threads, connections and the backlog are where they stay; not counted. */
  private static final Duration LEAD_IN = Duration.ofMillis(500);

  private static final Duration LONGEST_STOP = Duration.ofSeconds(60);

  private final Server server;
  private final Workload workload;
  private final Contender contender;
  private final Semaphore window;
  private final LongAdder settled = new LongAdder();
  private final LongAdder takes = new LongAdder();
  private volatile boolean stopped;

  Load(Server server, Workload workload, Contender contender) {
    this.server = server;
    this.workload = workload;
    this.contender = contender;
    this.window = new Semaphore(workload.window() * workload.copies());
  }

  String name() {
    return contender.name();
  }

  /** Runs for a time, and answers what happened in it, interval by interval. */
  List<Interval> run(Duration time, Duration interval) throws Exception {
    stopped = false;
    ExecutorService threads = Executors.newCachedThreadPool();
    List<Future<?>> working = new ArrayList<>();
    for (int i = 0; i < workload.consumers(); i++) {
      working.add(threads.submit(this::consume));
    }
    for (int i = 0; i < workload.producers(); i++) {
      working.add(threads.submit(this::produce));
    }
    threads.shutdown();
    List<Interval> intervals = new ArrayList<>();
    try {
      pauseUntil(System.nanoTime() + LEAD_IN.toNanos(), working);
      Mark previous = mark();
      long end = previous.counters().nanos() + time.toNanos();
      while (previous.counters().nanos() < end) {
        long left = end - previous.counters().nanos();
        pauseUntil(previous.counters().nanos() + Math.min(interval.toNanos(), left), working);
        Mark now = mark();
        intervals.add(Interval.between(previous, now));
        previous = now;
      }
    } finally {
      stopped = true;
      if (!threads.awaitTermination(LONGEST_STOP.toMillis(), TimeUnit.MILLISECONDS)) {
        threads.shutdownNow();
      }
    }
    for (Future<?> worker : working) {
      worker.get();
    }
    return intervals;
  }

  private Mark mark() {
    return new Mark(server.counters(), settled.sum(), takes.sum());
  }

  /** Counters at the border of two intervals. */
  record Mark(Server.Counters counters, long settled, long takes) {}

  private Void produce() throws Exception {
    try (Contender.Producer producer = contender.producer()) {
      while (!stopped) {
        if (window.tryAcquire(workload.batch() * workload.copies(), 100, TimeUnit.MILLISECONDS)) {
          producer.send();
        }
      }
    }
    return null;
  }

  private Void consume() throws Exception {
    try (Contender.Consumer consumer = contender.consumer()) {
      while (!stopped) {
        int count = consumer.take();
        settled.add(count);
        takes.add(count > 0 ? 1 : 0);
        window.release(count);
      }
    }
    return null;
  }

  /** Waits, but not for workers that have failed. */
  private static void pauseUntil(long nanos, List<Future<?>> working)
      throws ExecutionException, InterruptedException {
    for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
      LockSupport.parkNanos(Math.min(left, 100_000_000L));
      for (Future<?> worker : working) {
        if (worker.isDone()) {
          worker.get();
        }
      }
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
    }
  }

  @Override
  public void close() {
    contender.close();
  }
}
