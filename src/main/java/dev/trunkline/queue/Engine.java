package dev.trunkline.queue;

import dev.trunkline.event.TrunklineListener;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Notifications;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.LongStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What all queues of one process share: its identity, its hints and signals, and the loops that
 * keep everything going. Thread-safe.
 */
final class Engine {
  private static final Logger LOG = LoggerFactory.getLogger(Engine.class);

  private final Database database;
  private final ConsumerIdentity consumer;
  private final Signals signals = new Signals(System::nanoTime);
  private final DueTime due = new DueTime();
  private final DueTime expiry = new DueTime();
  private final DueTime over = new DueTime();
  private final Announcer announcer;
  private final Wakeups wakeups;
  private final Settler settler;
  private final LeaseReaper reaper;
  private final Pulse pulse;
  private final Housekeeping housekeeping;
  private final FlowWatch flowWatch;
  private final List<Loop> loops = new ArrayList<>();
  private final Notifications notifications;
  private final boolean mayListen;
  private final Duration pollInterval;
  private final Set<Consumer> consumers = ConcurrentHashMap.newKeySet();
  private final AtomicBoolean closed = new AtomicBoolean();

  Engine(
      Database database,
      Notifications notifications,
      QueuesConfig config,
      TrunklineListener listener) {
    this.database = database;
    this.consumer = new ConsumerIdentity(database, config.heartbeatTimeout());
    this.announcer = new Announcer(database, config.notifyMode());
    this.wakeups = new Wakeups(signals, announcer, due);
    this.settler = new Settler(database, wakeups, consumer);
    this.reaper = new LeaseReaper(database, wakeups, expiry);
    this.pollInterval = config.pollInterval();
    this.mayListen = config.notifyMode() != NotifyMode.OFF;
    this.notifications = notifications;
    notifications.subscribe(this::announced, signals::wakeAll);
    Loop scheduling = new Loop("scheduler", new Scheduler(database, wakeups, due));
    Loop reaping = new Loop("reaper", reaper);
    due.onBroughtForward(scheduling::wake);
    expiry.onBroughtForward(reaping::wake);
    Loop sweeping = new Loop("sweep", new ExpirySweep(database, wakeups, over));
    over.onBroughtForward(sweeping::wake);
    this.housekeeping = new Housekeeping(database);
    Loop housekeeper = new Loop("housekeeping", housekeeping);
    Pulse.Listeners listeners =
        new Pulse.Listeners(signals, announcer, due, expiry, over, housekeeper::wake);
    this.pulse = new Pulse(database, consumer, listeners, config.pollInterval());
    this.flowWatch = new FlowWatch(database, listener, config.pollInterval(), this::tallyFrom);
    loops.add(new Loop("pulse", pulse));
    loops.add(scheduling);
    loops.add(reaping);
    loops.add(sweeping);
    loops.add(housekeeper);
  }

  /** Registers the process and starts the loops. */
  Engine start() {
    consumer.register();
    announcer.start();
    flowWatch.start();
    loops.forEach(Loop::start);
    return this;
  }

  Database database() {
    return database;
  }

  ConsumerIdentity consumer() {
    return consumer;
  }

  Signals signals() {
    return signals;
  }

  Settler settler() {
    return settler;
  }

  Wakeups wakeups() {
    return wakeups;
  }

  Announcer announcer() {
    return announcer;
  }

  DueTime expiry() {
    return expiry;
  }

  /** How full bounded queues are. */
  FlowWatch flowWatch() {
    return flowWatch;
  }

  /** How often those look by themselves who wait for a change. */
  Duration pollInterval() {
    return pollInterval;
  }

  /** The place of the active consumer of a queue may be free, or wanted. */
  void vacant(int queueId) {
    flowWatch.vacant(queueId);
    announcer.vacant(queueId);
  }

  /** Where the living rows of the tally begin, if it costs much to look at all. */
  long tallyFrom() {
    return pulse.deadAreMany() ? housekeeping.tallyFrom() : 0;
  }

  /** Counts, and the age of the oldest ready message, without walking what died. */
  Optional<QueueStats> stats(QueueRow queue) {
    long tallyFrom = tallyFrom();
    long[] floors = pulse.deadAreMany() ? signals.lanes(queue.id()).floors() : new long[10];
    return database.run(session -> TallyStore.stats(session, queue.id(), tallyFrom, floors));
  }

  /** The same of all queues there are, by name, in one statement. */
  Map<String, QueueStats> allStats() {
    long tallyFrom = tallyFrom();
    List<Signals.Watched> hinted = pulse.deadAreMany() ? signals.watched() : List.of();
    int[] ids = hinted.stream().mapToInt(Signals.Watched::queueId).toArray();
    long[] froms =
        hinted.stream().flatMapToLong(queue -> LongStream.of(queue.lanes().floors())).toArray();
    return database.run(session -> TallyStore.allStats(session, tallyFrom, ids, froms));
  }

  /**
   * Makes claims from this queue begin at the very beginning, unless that means to walk too much of
   * what died. Answers whether it did.
   */
  boolean forgetHints(int queueId) {
    if (pulse.deadAreMany()) {
      return false;
    }
    signals.lanes(queueId).startOver();
    return true;
  }

  /** Whether anybody listens to a notification about this queue. */
  boolean isListenedTo(int queueId) {
    return !announcer.isAlone() || signals.isWatched(queueId);
  }

  /** Listening takes a connection: it begins with the first one who waits for messages. */
  void listen() {
    if (mayListen) {
      notifications.start();
    }
  }

  Consumer consume(QueueRow queue, ConsumerConfig config, Claimer claimer, Handling handling) {
    requireOpen();
    Consumer started = new Consumer(this, queue, config, claimer, handling);
    consumers.add(started);
    listen();
    return started.start();
  }

  void forget(Consumer closedConsumer) {
    consumers.remove(closedConsumer);
  }

  boolean isClosed() {
    return closed.get();
  }

  void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("this Trunkline is closed");
    }
  }

  private void announced(String payload) {
    for (Announcement announcement : Announcement.parse(payload)) {
      if (announcement instanceof Announcement.Ready ready) {
        signals.appeared(ready.queueId(), ready.runs());
      } else if (announcement instanceof Announcement.Due dueSoon) {
        due.in(dueSoon.millis());
      } else if (announcement instanceof Announcement.Vacant vacant) {
        flowWatch.vacant(vacant.queueId());
      }
    }
  }

  /**
   * Stops consumers, all at once, then the loops; gives back what this process still holds, and
   * leaves. Idempotent. If the database cannot be reached, what is held is found by others through
   * the missing heartbeat.
   */
  void close(Runnable afterwards) {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    if (consumers.stream().anyMatch(Consumer::runsOnThisThread)) {
      // A handler that waited for itself would wait for ever.
      new Thread(() -> stop(afterwards), "trunkline-closer").start();
    } else {
      stop(afterwards);
    }
  }

  private void stop(Runnable afterwards) {
    signals.wakeAll();
    boolean interrupted = closeConsumers(Thread.interrupted());
    loops.forEach(Loop::stop);
    loops.forEach(Loop::close);
    announcer.close();
    flowWatch.close();
    interrupted |= Thread.interrupted();
    try {
      reaper.releaseAllOf(consumer.id());
      consumer.unregister();
    } catch (dev.trunkline.error.DatabaseException e) {
      LOG.warn("leaving without giving back what is held: {}", e.getMessage());
    }
    afterwards.run();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * In parallel: the slowest handler decides how long it takes, not their sum. Answers whether it
   * was interrupted.
   */
  private boolean closeConsumers(boolean inAHurry) {
    List<Thread> closers = new ArrayList<>();
    for (Consumer open : consumers) {
      Thread closer = new Thread(open::close, "trunkline-" + open.queue() + "-closer");
      closer.setDaemon(true);
      closer.start();
      closers.add(closer);
    }
    boolean interrupted = inAHurry;
    if (inAHurry) {
      closers.forEach(Thread::interrupt);
    }
    for (Thread closer : closers) {
      while (closer.isAlive()) {
        try {
          closer.join(Duration.ofHours(1).toMillis());
        } catch (InterruptedException e) {
          interrupted = true;
          closers.forEach(Thread::interrupt);
        }
      }
    }
    return interrupted;
  }
}
