package dev.trunkline.queue;

import dev.trunkline.event.QueuePressure;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.Loop;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks how full the bounded queues are that this process has open, and tells the listener of
 * pressure. A process without a listener, or without a bounded queue, looks at nothing.
 * Thread-safe.
 */
final class FlowWatch implements Step, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(FlowWatch.class);
  private static final Duration NEVER = Duration.ofHours(1);

  private final Database database;
  private final TrunklineListener listener;
  private final Duration interval;
  private final LongSupplier tallyFrom;
  private final Map<Integer, Gauge> gauges = new ConcurrentHashMap<>();
  private final Map<Integer, Ageing> ageings = new ConcurrentHashMap<>();
  private final Map<Integer, Set<Runnable>> candidates = new ConcurrentHashMap<>();
  private final Loop loop = new Loop("flow", this);

  FlowWatch(
      Database database, TrunklineListener listener, Duration interval, LongSupplier tallyFrom) {
    this.database = database;
    this.listener = listener;
    this.interval = interval;
    this.tallyFrom = tallyFrom;
  }

  FlowWatch start() {
    loop.start();
    return this;
  }

  /** What the senders to a bounded queue share in this process; the bounds are those last seen. */
  Gauge gauge(QueueRow queue, Bounds bounds) {
    Gauge gauge =
        gauges.compute(
            queue.id(),
            (id, known) ->
                known != null && known.bounds().equals(bounds) ? known : new Gauge(queue, bounds));
    loop.wake();
    return gauge;
  }

  /** A sender has seen that the queue is, or will be, so full. */
  void mayChange(Gauge gauge, Depth depth) {
    if (hears() && gauge.wouldChange(depth)) {
      loop.wake();
    }
  }

  /** Something was taken out of a queue. */
  void claimed(int queueId) {
    Gauge gauge = gauges.get(queueId);
    if (gauge != null) {
      gauge.room().signal();
    }
  }

  /** Calls {@code wake} whenever the place of the active consumer may be free, or wanted. */
  Signals.Subscription onVacancy(int queueId, Runnable wake) {
    Set<Runnable> waiting =
        candidates.computeIfAbsent(queueId, id -> ConcurrentHashMap.newKeySet());
    waiting.add(wake);
    return () -> waiting.remove(wake);
  }

  /** The place of the active consumer may be free, or wanted. */
  void vacant(int queueId) {
    candidates.getOrDefault(queueId, Set.of()).forEach(Runnable::run);
  }

  /** Calls the listener; what it throws stops nothing. */
  void tell(String queue, Consumer<TrunklineListener> event) {
    try {
      event.accept(listener);
    } catch (RuntimeException e) {
      LOG.warn("{}: the listener failed", queue, e);
    }
  }

  /** In which order claims from a queue look; kept up to date while this process is open. */
  Ageing ageing(int queueId, Duration perLevel) {
    Ageing known = ageings.get(queueId);
    if (known != null && known.perLevel().equals(perLevel)) {
      return known;
    }
    Ageing ageing = new Ageing(queueId, perLevel);
    mark(ageing);
    ageings.put(queueId, ageing);
    loop.wake();
    return ageing;
  }

  @Override
  public Duration runOnce() {
    Duration untilMark = mark();
    Duration untilLook = look();
    return untilMark.compareTo(untilLook) < 0 ? untilMark : untilLook;
  }

  /** Marks the places of queues with ageing. Answers how long until the next mark. */
  private Duration mark() {
    Duration next = NEVER;
    for (Ageing ageing : ageings.values()) {
      Duration due = ageing.dueIn();
      if (due.isZero()) {
        mark(ageing);
        due = ageing.dueIn();
      }
      next = due.compareTo(next) < 0 ? due : next;
    }
    return next;
  }

  private void mark(Ageing ageing) {
    long everyMs = ageing.every().toMillis();
    ageing.marked(
        database.run(session -> AgeStore.mark(session, ageing.queueId(), everyMs, Ageing.LEVELS)));
  }

  /** Looks how full the bounded queues are. Answers how long until the next look. */
  private Duration look() {
    if (gauges.isEmpty() || !hears()) {
      return NEVER;
    }
    int[] ids = gauges.keySet().stream().mapToInt(Integer::intValue).toArray();
    Map<Integer, Depth> depths =
        database.run(session -> DepthStore.depths(session, ids, tallyFrom.getAsLong()));
    for (Gauge gauge : gauges.values()) {
      Depth depth = depths.getOrDefault(gauge.queueId(), new Depth(0, 0));
      if (gauge.measured(depth)) {
        QueuePressure event =
            new QueuePressure(
                gauge.name(),
                gauge.isHigh(),
                depth.messages(),
                depth.bytes(),
                gauge.bounds().fullness(depth));
        tell(gauge.name(), told -> told.queuePressure(event));
      }
    }
    return interval;
  }

  private boolean hears() {
    return listener != TrunklineListener.NONE;
  }

  @Override
  public void close() {
    loop.close();
  }
}
