package dev.trunkline.topic;

import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.internal.db.Database;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes the steps of one topic's sequencing. Thread-safe. */
final class Sequencer {
  private static final Logger LOG = LoggerFactory.getLogger(Sequencer.class);

  private static final Duration PRUNE_EVERY = Duration.ofSeconds(5);

  private final Database database;
  private final TopicRow topic;

  /** A hint for the planner: not above what the database has, unless that was restored. */
  private volatile long floorId;

  private volatile long prunedNanos = System.nanoTime();

  /** The last step that was pruned. */
  private volatile long prunedId;

  Sequencer(Database database, TopicRow topic) {
    this.database = database;
    this.topic = topic;
  }

  /**
   * What a step left.
   *
   * @param bounds of each partition
   * @param sequenced how many records were given offsets by this step
   * @param busy whether another one was at it, so that there may be more
   * @param newest per partition, the last segment that this step has made there
   */
  record Step(
      Bounds bounds, long sequenced, boolean busy, Map<Integer, SegmentStore.Segment> newest) {}

  /**
   * Gives offsets to what has been committed, unless somebody else is doing it.
   *
   * @throws TopicNotFoundException if the topic has been deleted
   */
  Step step() {
    List<SequenceStore.Found> found =
        database.run(session -> SequenceStore.sequence(session, topic.id(), floorId));
    if (found.isEmpty()) {
      throw new TopicNotFoundException(topic.name());
    }
    SequenceStore.Found first = found.get(0);
    floorId = first.floorId();
    if (first.isForeign()) {
      rebase();
      floorId = 0;
      return step();
    }
    prune();
    Map<Integer, SegmentStore.Segment> newest = new HashMap<>();
    for (SequenceStore.Found each : found) {
      if (each.newest() != null) {
        newest.put(each.partition(), each.newest());
      }
    }
    return new Step(Bounds.of(found), first.sequenced(), !first.isMine(), newest);
  }

  /** Up to which id everything has its offset or never will, as of the last step. */
  long floorId() {
    return floorId;
  }

  /** The same, waiting for whoever is at it: what was committed before the call has its offset. */
  Step stepForSure() {
    Step step = step();
    while (step.busy()) {
      database.inTransaction(
          session -> {
            SequenceStore.lock(session, topic.id());
            return true;
          });
      step = step();
    }
    return step;
  }

  private void rebase() {
    boolean done =
        database.inTransaction(
            session -> {
              SequenceStore.lock(session, topic.id());
              // Whoever had the lock before may have done it.
              if (!SequenceStore.isForeign(session, topic.id())) {
                return false;
              }
              long moved = SequenceStore.rebase(session, topic.id());
              LOG.warn(
                  "{}: the log comes from another cluster, it goes on here; {} records that had no offset yet were"
                      + " appended anew",
                  topic.name(),
                  moved);
              return true;
            });
    LOG.debug("{}: rebased: {}", topic.name(), done);
  }

  /** A step leaves a row; only the newest is ever read. */
  private void prune() {
    if (System.nanoTime() - prunedNanos > PRUNE_EVERY.toNanos()) {
      prunedNanos = System.nanoTime();
      long last = database.run(session -> SequenceStore.prune(session, topic.id(), prunedId));
      prunedId = Math.max(prunedId, last);
    }
  }

  /**
   * The bounds of all partitions at one moment.
   *
   * @param starts per partition, the first offset that is there
   * @param ends per partition, the offset that the next record will have
   */
  record Bounds(List<Long> starts, List<Long> ends) {
    static final Bounds NONE = new Bounds(List.of(), List.of());

    static Bounds of(List<SequenceStore.Found> found) {
      List<Long> starts = new ArrayList<>();
      List<Long> ends = new ArrayList<>();
      for (SequenceStore.Found partition : found) {
        starts.add(partition.logStart());
        ends.add(partition.logEnd());
      }
      return new Bounds(List.copyOf(starts), List.copyOf(ends));
    }

    int partitions() {
      return ends.size();
    }

    /** Whether any bound that both have is lower here, or partitions are missing. */
    boolean isBehind(Bounds other) {
      return !orFarther(other).equals(this);
    }

    /** The farther bound of each partition. */
    Bounds orFarther(Bounds other) {
      return new Bounds(farther(starts, other.starts), farther(ends, other.ends));
    }

    private static List<Long> farther(List<Long> some, List<Long> others) {
      List<Long> farther = new ArrayList<>(some.size() > others.size() ? some : others);
      for (int i = 0; i < Math.min(some.size(), others.size()); i++) {
        farther.set(i, Math.max(some.get(i), others.get(i)));
      }
      return List.copyOf(farther);
    }
  }
}
