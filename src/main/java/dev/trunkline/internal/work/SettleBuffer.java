package dev.trunkline.internal.work;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.SqlStates;
import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gathers what handlers decided for a few milliseconds, or until a batch is full, and settles it by
 * few statements. Thread-safe.
 *
 * <p>While the database cannot be reached it keeps trying, and handlers that finish meanwhile wait
 * when it is full: nothing that was decided is thrown away as long as the process lives.
 *
 * @param <S> a delivery and what was decided about it
 */
public final class SettleBuffer<S> implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(SettleBuffer.class);
  private static final int MAX_BATCH = 1000;
  private static final int MAX_WAITING = 10_000;
  private static final long GATHER_NANOS = TimeUnit.MILLISECONDS.toNanos(2);

  /** Whoever adds something wakes the loop, and so does a stop. */
  private static final Duration IDLE = Duration.ofHours(1);

  private final String owner;
  private final Settling<S> settling;
  private final BlockingQueue<S> waiting = new LinkedBlockingQueue<>(MAX_WAITING);
  private final Loop loop;

  /** Added and not settled yet. */
  private final AtomicInteger pending = new AtomicInteger();

  /** What is being settled; kept until it has been. Used by the loop's thread only. */
  private List<S> batch = List.of();

  private boolean repeated;

  /** Settles for many at once. */
  @FunctionalInterface
  public interface Settling<S> {
    /**
     * May be repeated after a failure.
     *
     * @return how many were no longer held
     */
    int settle(List<S> settlements);
  }

  /**
   * Makes it; {@link #start} starts its thread.
   *
   * @param owner begins the name of the thread, and the lines in the log
   */
  public SettleBuffer(String owner, Settling<S> settling) {
    this.owner = owner;
    this.settling = settling;
    this.loop = new Loop(owner + "-settler", this::settleSome);
  }

  /** Starts the thread. Called once. */
  public void start() {
    loop.start();
  }

  /** Settles this soon. Waits while too much is waiting already. */
  public void add(S settlement) {
    boolean interrupted = false;
    pending.incrementAndGet();
    try {
      while (true) {
        try {
          waiting.put(settlement);
          loop.wake();
          return;
        } catch (InterruptedException e) {
          // What a handler decided is not lost because someone is in a hurry.
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private Duration settleSome() throws InterruptedException {
    if (batch.isEmpty()) {
      S first = waiting.poll();
      if (first == null) {
        return IDLE;
      }
      batch = gather(first);
    }
    int lost;
    try {
      lost = settling.settle(batch);
    } catch (DatabaseException e) {
      repeated = true;
      if (SqlStates.mayPassByItself(e)) {
        throw e;
      }
      lost = settleOneByOne(batch);
    }
    if (lost > 0 && !repeated) {
      LOG.warn(
          "{}: {} of {} deliveries had lost their lease when they were settled; they are delivered again",
          owner,
          lost,
          batch.size());
    }
    repeated = false;
    pending.addAndGet(-batch.size());
    batch = List.of();
    return Duration.ZERO;
  }

  /** Something in the batch cannot be settled: it must not hold up the rest. Its lease expires. */
  private int settleOneByOne(List<S> settlements) {
    int lost = 0;
    for (S settlement : settlements) {
      try {
        lost += settling.settle(List.of(settlement));
      } catch (DatabaseException e) {
        LOG.error("{}: {} could not be settled, it will be delivered again", owner, settlement, e);
      }
    }
    return lost;
  }

  private List<S> gather(S first) throws InterruptedException {
    List<S> gathered = new ArrayList<>();
    gathered.add(first);
    long end = System.nanoTime() + GATHER_NANOS;
    while (gathered.size() < MAX_BATCH) {
      waiting.drainTo(gathered, MAX_BATCH - gathered.size());
      long left = end - System.nanoTime();
      S next =
          left > 0 && gathered.size() < MAX_BATCH ? waiting.poll(left, TimeUnit.NANOSECONDS) : null;
      if (next == null) {
        break;
      }
      gathered.add(next);
    }
    return gathered;
  }

  /** Waits until all that was added has been settled. Answers whether it has. */
  public boolean awaitEmpty(Duration atMost) throws InterruptedException {
    long end = System.nanoTime() + atMost.toNanos();
    while (pending.get() > 0) {
      if (System.nanoTime() - end > 0) {
        return false;
      }
      loop.await(Duration.ofMillis(2));
    }
    return true;
  }

  @Override
  public void close() {
    loop.close();
  }
}
