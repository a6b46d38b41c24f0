package dev.trunkline.internal.db;

import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/**
 * Tells other processes by NOTIFY that something has changed, seldom: a NOTIFY holds a lock of the
 * whole cluster until its commit is done, so what is told again within 25 ms is told once, and
 * nothing while this process is alone. Thread-safe.
 */
public final class Broadcast implements AutoCloseable {
  /** At most one round of notifications per so long, after own transactions. */
  private static final Duration INTERVAL = Duration.ofMillis(25);

  /** The same text at most once per so long inside callers' transactions. */
  private static final Duration CALLERS_INTERVAL = Duration.ofMillis(100);

  private static final String NOTIFY =
      """
      SELECT pg_notify(:channel, text)
      FROM unnest(:texts::text[]) AS text
      """;

  private final Database database;
  private final boolean enabled;
  private final BooleanSupplier isAlone;
  private final Loop loop;
  private final ReentrantLock lock = new ReentrantLock();
  private final Set<String> waiting = new LinkedHashSet<>();
  private final Map<String, Long> toldInCallers = new HashMap<>();
  private long flushedNanos = System.nanoTime() - INTERVAL.toNanos();

  /**
   * Makes it; {@link #start} starts its thread.
   *
   * @param enabled whether anything is told at all
   * @param isAlone whether no other process is known
   */
  public Broadcast(Database database, boolean enabled, BooleanSupplier isAlone) {
    this.database = database;
    this.enabled = enabled;
    this.isAlone = isAlone;
    this.loop = new Loop("broadcast", this::flush);
  }

  /** Begins to tell. */
  public Broadcast start() {
    if (enabled) {
      loop.start();
    }
    return this;
  }

  /** Something was committed by a transaction of ours. */
  public void tell(String text) {
    if (!enabled || isAlone.getAsBoolean()) {
      return;
    }
    boolean isFirst;
    lock.lock();
    try {
      isFirst = waiting.isEmpty();
      waiting.add(text);
    } finally {
      lock.unlock();
    }
    // The others find it in the pause after which it takes all.
    if (isFirst) {
      loop.wake();
    }
  }

  /**
   * Tells as part of the caller's transaction, if the throttle allows: the server sends it at the
   * commit, to this process, too, which has no other way to learn of it.
   */
  public void tellAtCommit(Session session, String text) {
    if (!enabled) {
      return;
    }
    lock.lock();
    try {
      long now = System.nanoTime();
      Long last = toldInCallers.get(text);
      if (last != null && now - last < CALLERS_INTERVAL.toNanos()) {
        return;
      }
      toldInCallers.put(text, now);
    } finally {
      lock.unlock();
    }
    notify(session.statement(NOTIFY), List.of(text));
  }

  private Duration flush() {
    long wait = INTERVAL.toNanos() - (System.nanoTime() - flushedNanos);
    if (wait > 0) {
      return Duration.ofNanos(wait);
    }
    List<String> texts;
    lock.lock();
    try {
      texts = List.copyOf(waiting);
      waiting.clear();
    } finally {
      lock.unlock();
    }
    if (texts.isEmpty()) {
      return Duration.ofHours(1);
    }
    flushedNanos = System.nanoTime();
    database.run(
        session -> {
          // Not waiting for the disk: the lock is held for so much shorter.
          notify(session.relaxed(NOTIFY), texts);
          return true;
        });
    return INTERVAL;
  }

  private static void notify(Session.Rows statement, List<String> texts) {
    statement
        .bind("channel", Notifications.CHANNEL)
        .bindArray("texts", texts.toArray(String[]::new))
        .run();
  }

  @Override
  public void close() {
    if (enabled) {
      loop.close();
    }
  }
}
