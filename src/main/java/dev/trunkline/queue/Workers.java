package dev.trunkline.queue;

import java.lang.reflect.InvocationTargetException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The threads that handlers run on: a fixed number, all doing the same until they are told to stop.
 * Thread-safe.
 */
final class Workers {
  private static final Logger LOG = LoggerFactory.getLogger(Workers.class);

  private final List<Thread> threads = new ArrayList<>();
  private final CountDownLatch running;

  Workers(String queue, int count, boolean virtual, Runnable work) {
    this.running = new CountDownLatch(count);
    ThreadFactory factory = virtual ? virtualThreads(queue) : platformThreads(queue);
    for (int i = 0; i < count; i++) {
      threads.add(
          factory.newThread(
              () -> {
                try {
                  work.run();
                } finally {
                  running.countDown();
                }
              }));
    }
  }

  void start() {
    threads.forEach(Thread::start);
  }

  boolean await(Duration atMost) throws InterruptedException {
    return running.await(atMost.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Whether the calling thread is one of these. */
  boolean includeThisThread() {
    return threads.contains(Thread.currentThread());
  }

  void interrupt() {
    threads.forEach(Thread::interrupt);
  }

  private static ThreadFactory platformThreads(String queue) {
    AtomicInteger number = new AtomicInteger();
    return work -> {
      Thread thread = new Thread(work, name(queue) + number.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }

  /** By reflection: the library is compiled for 17, which has no virtual threads. */
  private static ThreadFactory virtualThreads(String queue) {
    try {
      Class<?> builderType = Class.forName("java.lang.Thread$Builder");
      Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
      Object named =
          builderType.getMethod("name", String.class, long.class).invoke(builder, name(queue), 1L);
      return (ThreadFactory) builderType.getMethod("factory").invoke(named);
    } catch (ClassNotFoundException
        | NoSuchMethodException
        | IllegalAccessException
        | InvocationTargetException e) {
      LOG.info(
          "{}: this virtual machine has no virtual threads, handlers run on platform threads",
          queue);
      return platformThreads(queue);
    }
  }

  private static String name(String queue) {
    return "trunkline-" + queue + "-handler-";
  }
}
