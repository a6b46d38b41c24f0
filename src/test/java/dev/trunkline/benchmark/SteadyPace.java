package dev.trunkline.benchmark;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Does something so many times a second by a few threads, whatever the answers take. */
final class SteadyPace {
  private final int perSecond;
  private final int threads;

  SteadyPace(int perSecond, int threads) {
    this.perSecond = perSecond;
    this.threads = threads;
  }

  /** What is done, and the how manieth time it is, from 0. */
  @FunctionalInterface
  interface Work {
    void run(int number) throws Exception;
  }

  /** Returns when all of it is done. */
  void run(int count, Work work) throws Exception {
    ExecutorService executor = Executors.newFixedThreadPool(threads);
    long begin = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(100);
    List<Future<?>> running = new ArrayList<>();
    for (int thread = 0; thread < threads; thread++) {
      int first = thread;
      running.add(
          executor.submit(
              () -> {
                for (int number = first; number < count; number += threads) {
                  parkUntil(begin + number * 1_000_000_000L / perSecond);
                  work.run(number);
                }
                return true;
              }));
    }
    executor.shutdown();
    for (Future<?> each : running) {
      each.get();
    }
  }

  private static void parkUntil(long nanos) {
    for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }
}
