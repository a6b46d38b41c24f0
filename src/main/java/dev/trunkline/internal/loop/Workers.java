package dev.trunkline.internal.loop;

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
public final class Workers {
  private static final Logger LOG = LoggerFactory.getLogger(Workers.class);

  private final List<Thread> threads = new ArrayList<>();
  private final CountDownLatch running;

  /**
   * Makes the threads; {@link #start} starts them.
   *
   * @param owner begins their names, and the lines in the log
   * @param virtual whether they are virtual threads, if the virtual machine has them
   */
  public Workers(String owner, int count, boolean virtual, Runnable work) {
    this.running = new CountDownLatch(count);
    ThreadFactory factory = virtual ? virtualThreads(owner) : platformThreads(owner);
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

  /** Starts the threads. Called once. */
  public void start() {
    threads.forEach(Thread::start);
  }

  /** Waits until all of them have ended; answers whether they have. */
  public boolean await(Duration atMost) throws InterruptedException {
    return running.await(atMost.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Whether the calling thread is one of these. */
  public boolean includeThisThread() {
    return threads.contains(Thread.currentThread());
  }

  /** Interrupts all of them. */
  public void interrupt() {
    threads.forEach(Thread::interrupt);
  }

  private static ThreadFactory platformThreads(String owner) {
    AtomicInteger number = new AtomicInteger();
    return work -> {
      Thread thread = new Thread(work, name(owner) + number.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }

  /** By reflection: the library is compiled for 17, which has no virtual threads. */
  private static ThreadFactory virtualThreads(String owner) {
    try {
      Class<?> builderType = Class.forName("java.lang.Thread$Builder");
      Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
      Object named =
          builderType.getMethod("name", String.class, long.class).invoke(builder, name(owner), 1L);
      return (ThreadFactory) builderType.getMethod("factory").invoke(named);
    } catch (ClassNotFoundException
        | NoSuchMethodException
        | IllegalAccessException
        | InvocationTargetException e) {
      LOG.info(
          "{}: this virtual machine has no virtual threads, handlers run on platform threads",
          owner);
      return platformThreads(owner);
    }
  }

  private static String name(String owner) {
    return "trunkline-" + owner + "-handler-";
  }
}
