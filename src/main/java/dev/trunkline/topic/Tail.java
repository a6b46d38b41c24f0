package dev.trunkline.topic;

import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.IdleBackoff;
import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The end of one topic's log as this process sees it, for all who read there. Thread-safe.
 *
 * <p>While anybody watches, a loop takes the steps of the sequencing: when it is told of a publish,
 * then after 5 ms (25 or 50 under load), twice as late each time there is nothing, and at the
 * latest once per poll interval. Whoever watches is woken when a partition has grown.
 */
final class Tail implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Tail.class);

  /** A step at most so often while there are few: they are not held up by what it would save. */
  private static final Duration SHORTEST = Duration.ofMillis(1);

  /** A step at most so often while there are some. */
  private static final Duration SHORT = Duration.ofMillis(5);

  /**
   * A step at most so often while there is much: steps of hundreds of records, and reads of them,
   * cost less than hundreds of steps.
   */
  private static final Duration UNDER_LOAD = Duration.ofMillis(25);

  /**
   * A step at most so often while there are thousands a second: the machine is busy, and what half
   * of the steps and pages would cost is a tenth of what it can take.
   */
  private static final Duration UNDER_HEAVY_LOAD = Duration.ofMillis(50);

  /** So many records in a step are no longer few. */
  private static final int SOME = 8;

  /** So many records in a step are much. */
  private static final int MUCH = 64;

  /**
   * So many are very much: 20,000 a second, and 10,000 once steps are {@link #UNDER_HEAVY_LOAD}.
   */
  private static final int VERY_MUCH = 500;

  private final TopicRow topic;
  private final Sequencer sequencer;
  private final LogReader reader;
  private final Loop loop;
  private final IdleBackoff backoff;
  private final Duration pollInterval;
  private final Set<Runnable> watchers = ConcurrentHashMap.newKeySet();
  private final AtomicBoolean started = new AtomicBoolean();
  private final AtomicBoolean told = new AtomicBoolean();

  /** Per partition, the last segment that was made here: what most readers want next. */
  private final Map<Integer, SegmentStore.Segment> newest = new ConcurrentHashMap<>();

  private volatile Sequencer.Bounds bounds = Sequencer.Bounds.NONE;
  private volatile Duration pace = SHORTEST;
  private long steppedNanos = System.nanoTime() - SHORTEST.toNanos();

  Tail(Database database, LogReader reader, TopicRow topic, Duration pollInterval) {
    this.topic = topic;
    this.sequencer = new Sequencer(database, topic);
    this.reader = reader;
    this.pollInterval = pollInterval;
    this.backoff = new IdleBackoff(SHORT, pollInterval);
    this.loop = new Loop(topic.name() + "-tail", this::runOnce);
  }

  /** Ends a watch. */
  @FunctionalInterface
  interface Watch extends AutoCloseable {
    @Override
    void close();
  }

  /** Calls {@code wake}, from any thread, whenever a partition has grown. It must be quick. */
  Watch watch(Runnable wake) {
    watchers.add(wake);
    if (started.compareAndSet(false, true)) {
      loop.start();
    } else {
      loop.wake();
    }
    return () -> watchers.remove(wake);
  }

  /** The bounds as of the last step that was taken here; none before the first. */
  Sequencer.Bounds bounds() {
    return bounds;
  }

  /** The bounds now: everything that was committed before the call has its offset. */
  Sequencer.Bounds boundsForSure() {
    Sequencer.Bounds before = bounds;
    Sequencer.Step step = sequencer.stepForSure();
    grown(before, step);
    return step.bounds();
  }

  /** The next records from an offset on: see {@link LogReader#read}. */
  LogReader.Page read(int partition, long fromOffset, int maxRecords, long maxBytes) {
    SegmentStore.Segment segment = newest.get(partition);
    return segment == null
        ? reader.read(topic, partition, fromOffset, maxRecords, maxBytes)
        : reader.readNear(segment, topic, partition, fromOffset, maxRecords, maxBytes);
  }

  /** Records were committed, or will be any moment. */
  void published() {
    // Once it has been told it will take a step; to wake it from its pause would cost a publisher
    // time.
    if (!watchers.isEmpty() && !told.getAndSet(true)) {
      loop.wake();
    }
  }

  /** Whether somebody watches, and the last step found few records. */
  boolean isCalm() {
    return !watchers.isEmpty() && pace.equals(SHORTEST);
  }

  private Duration runOnce() {
    if (watchers.isEmpty()) {
      return Duration.ofHours(1);
    }
    long wait = pace.toNanos() - (System.nanoTime() - steppedNanos);
    if (wait > 0) {
      return Duration.ofNanos(wait);
    }
    if (told.getAndSet(false)) {
      backoff.reset();
    }
    // Counted from the beginning of a step: the wait for its disk is pause enough.
    steppedNanos = System.nanoTime();
    Sequencer.Bounds before = bounds;
    Sequencer.Step step;
    try {
      step = sequencer.step();
    } catch (TopicNotFoundException e) {
      LOG.warn("{}: the topic has been deleted", topic.name());
      return Duration.ofHours(1);
    }
    pace = paceAfter(step.sequenced());
    if (grown(before, step) || step.busy()) {
      backoff.reset();
    }
    return backoff.next();
  }

  private static Duration paceAfter(long sequenced) {
    if (sequenced >= VERY_MUCH) {
      return UNDER_HEAVY_LOAD;
    }
    if (sequenced >= MUCH) {
      return UNDER_LOAD;
    }
    return sequenced >= SOME ? SHORT : SHORTEST;
  }

  /**
   * Two threads may come with what they saw in another order than they saw it: the bounds never go
   * back. But if a step finds less than was known before it began, the database was restored.
   */
  private boolean grown(Sequencer.Bounds before, Sequencer.Step step) {
    newest.putAll(step.newest());
    Sequencer.Bounds seen = step.bounds();
    synchronized (this) {
      Sequencer.Bounds now = seen.isBehind(before) ? seen : bounds.orFarther(seen);
      if (now.equals(bounds)) {
        return false;
      }
      bounds = now;
    }
    watchers.forEach(Runnable::run);
    return true;
  }

  @Override
  public void close() {
    if (started.get()) {
      loop.close();
    }
  }
}
