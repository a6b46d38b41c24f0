package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Notifications;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * Tells other processes by NOTIFY, seldom: a NOTIFY holds a lock of the whole cluster until its
 * commit is flushed, so many publishes share one, and nothing is sent while this process is alone.
 * Thread-safe.
 */
final class Announcer implements AutoCloseable {
  /** At most one notification per so long and process, after own transactions. */
  static final Duration INTERVAL = Duration.ofMillis(25);

  /** At most one notification per so long, queue and process inside callers' transactions. */
  static final Duration CALLERS_INTERVAL = Duration.ofMillis(100);

  private static final String NOTIFY =
      """
      SELECT pg_notify(:channel, :payload)
      """;

  private final Database database;
  private final NotifyMode mode;
  private final Loop loop;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Long, Announcement.Ready> ready = new LinkedHashMap<>();
  private final Map<Integer, Long> lastInCallers = new LinkedHashMap<>();
  private final Set<Integer> vacant = new LinkedHashSet<>();
  private long soonestMs = Long.MAX_VALUE;
  private volatile boolean alone;
  private long flushedNanos = System.nanoTime() - INTERVAL.toNanos();

  Announcer(Database database, NotifyMode mode) {
    this.database = database;
    this.mode = mode;
    this.loop = new Loop("announcer", this::flush);
  }

  void start() {
    if (mode != NotifyMode.OFF) {
      loop.start();
    }
  }

  /** Whether no other process is known, so that there is nobody to tell. */
  void alone(boolean alone) {
    this.alone = alone;
  }

  boolean isAlone() {
    return alone;
  }

  /** Runs were committed by a transaction of ours. */
  void ready(int queueId, Lanes.Announced runs) {
    if (mode == NotifyMode.OFF || alone) {
      return;
    }
    add(
        () ->
            ready.merge(
                queueId * 10L + runs.priority(),
                new Announcement.Ready(queueId, runs),
                (known, added) ->
                    new Announcement.Ready(
                        queueId,
                        new Lanes.Announced(
                            runs.priority(),
                            Math.min(known.runs().first(), added.runs().first()),
                            Math.max(known.runs().last(), added.runs().last())))));
  }

  /** A scheduled message was committed by a transaction of ours. */
  void dueIn(long millis) {
    if (mode == NotifyMode.OFF || alone) {
      return;
    }
    add(() -> soonestMs = Math.min(soonestMs, millis));
  }

  /** The place of the active consumer of a queue may be free, or wanted. */
  void vacant(int queueId) {
    // Rare, and somebody who has just come may wait for it: told even if nobody is known.
    if (mode == NotifyMode.OFF) {
      return;
    }
    add(() -> vacant.add(queueId));
  }

  /** The loop is woken for the first; the others find it in the pause after which it takes all. */
  private void add(Runnable adding) {
    boolean isFirst;
    lock.lock();
    try {
      isFirst = ready.isEmpty() && vacant.isEmpty() && soonestMs == Long.MAX_VALUE;
      adding.run();
    } finally {
      lock.unlock();
    }
    if (isFirst) {
      loop.wake();
    }
  }

  /**
   * Tells as part of the caller's transaction, if the throttle allows: the server sends it at the
   * commit, to this process, too, which has no other way to learn of it.
   */
  void inCallersTransaction(Session session, int queueId, Sender.Sent sent) {
    if (mode != NotifyMode.ALL || !mayNotify(queueId)) {
      return;
    }
    List<Announcement> announcements = new ArrayList<>();
    sent.ready().forEach(runs -> announcements.add(new Announcement.Ready(queueId, runs)));
    sent.soonestMs().ifPresent(millis -> announcements.add(new Announcement.Due(millis)));
    notify(() -> session.statement(NOTIFY), announcements);
  }

  private boolean mayNotify(int queueId) {
    lock.lock();
    try {
      long now = System.nanoTime();
      Long last = lastInCallers.get(queueId);
      if (last != null && now - last < CALLERS_INTERVAL.toNanos()) {
        return false;
      }
      lastInCallers.put(queueId, now);
      return true;
    } finally {
      lock.unlock();
    }
  }

  private Duration flush() {
    long wait = INTERVAL.toNanos() - (System.nanoTime() - flushedNanos);
    if (wait > 0) {
      return Duration.ofNanos(wait);
    }
    List<Announcement> announcements = new ArrayList<>();
    lock.lock();
    try {
      announcements.addAll(ready.values());
      ready.clear();
      vacant.forEach(queueId -> announcements.add(new Announcement.Vacant(queueId)));
      vacant.clear();
      if (soonestMs != Long.MAX_VALUE) {
        announcements.add(new Announcement.Due(soonestMs));
        soonestMs = Long.MAX_VALUE;
      }
    } finally {
      lock.unlock();
    }
    if (announcements.isEmpty()) {
      return Duration.ofHours(1);
    }
    flushedNanos = System.nanoTime();
    database.run(
        session -> {
          // Not waiting for the disk: the lock is held for so much shorter.
          notify(() -> session.relaxed(NOTIFY), announcements);
          return true;
        });
    return INTERVAL;
  }

  private static void notify(Supplier<Session.Rows> statement, List<Announcement> announcements) {
    for (String payload : Announcement.payloads(announcements)) {
      statement.get().bind("channel", Notifications.CHANNEL).bind("payload", payload).run();
    }
  }

  @Override
  public void close() {
    if (mode != NotifyMode.OFF) {
      loop.close();
    }
  }
}
