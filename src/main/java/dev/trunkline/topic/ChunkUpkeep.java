package dev.trunkline.topic;

import dev.trunkline.event.RecordsDropped;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.IdleBackoff;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the chunks of topics: makes them ahead, closes them, empties what is past retention, and
 * drops what is empty. Runs in every process; locks keep two from doing the same. Not thread-safe.
 */
final class ChunkUpkeep {
  private static final Logger LOG = LoggerFactory.getLogger(ChunkUpkeep.class);

  /** Emptied in one round; the rest in the next one. */
  private static final int EMPTIED_AT_ONCE = 20;

  /** A table that cannot be dropped since somebody has it open is tried again after so long. */
  private static final Duration FIRST_RETRY = Duration.ofSeconds(1);

  private static final Duration LAST_RETRY = Duration.ofMinutes(1);

  private final Database database;
  private final TrunklineListener listener;
  private final Map<Integer, Memory> topics = new HashMap<>();

  ChunkUpkeep(Database database, TrunklineListener listener) {
    this.database = database;
    this.listener = listener;
  }

  /** What this process remembers of a topic. */
  private static final class Memory {
    final Sequencer sequencer;
    final Set<Integer> forgotten = new HashSet<>();
    final Set<String> warned = new HashSet<>();
    final IdleBackoff dropping = new IdleBackoff(FIRST_RETRY, LAST_RETRY);
    long dropAtNanos = System.nanoTime();

    /** As of the last step; a step is due when ids have been handed out since. */
    long sequencedId = -1;

    Memory(Sequencer sequencer) {
      this.sequencer = sequencer;
    }
  }

  /** All topics there are: what is remembered of others is forgotten. */
  void retain(Set<Integer> topicIds) {
    topics.keySet().retainAll(topicIds);
  }

  /**
   * One round for one topic. Answers whether there was something to do, so that more may follow.
   */
  boolean runOnce(ChunkStore.Overview found) {
    Memory topic =
        topics.computeIfAbsent(
            found.topic().id(), id -> new Memory(new Sequencer(database, found.topic())));
    boolean worked = roll(found);
    sequence(found, topic);
    if (found.isPastRetention()) {
      worked |= empty(found.topic(), topic);
    }
    if (!found.emptied().isEmpty()) {
      worked |= drop(found, topic);
    }
    return worked;
  }

  /** At least one chunk is ahead at any time, so that the current one can be closed. */
  private boolean roll(ChunkStore.Overview found) {
    int topicId = found.topic().id();
    boolean worked = false;
    if (found.newest() <= found.current()) {
      add(topicId);
      worked = true;
    }
    Integer unclosed = found.unclosed();
    if (unclosed != null) {
      database.run(session -> ChunkStore.close(session, topicId, unclosed));
    }
    if (isDue(found)
        && database.run(session -> ChunkStore.close(session, topicId, found.current()))) {
      add(topicId);
      worked = true;
    }
    return worked;
  }

  private void add(int topicId) {
    database.run(
        session -> {
          ChunkStore.add(session, topicId);
          return true;
        });
  }

  private static boolean isDue(ChunkStore.Overview found) {
    TopicConfig config = found.topic().config();
    Retention retention = config.retention();
    return found.isInUse()
        && (found.openFor().compareTo(config.chunks().ageFor(retention)) >= 0
            || found.bytes() >= config.chunks().bytesFor(retention));
  }

  /**
   * Records have to have their offsets before they can be past retention, whether or not anybody
   * reads them; and a chunk is not dropped before the floor has passed it.
   */
  private static void sequence(ChunkStore.Overview found, Memory topic) {
    if (topic.sequencedId < found.lastId() || topic.sequencer.floorId() < found.lastId()) {
      topic.sequencedId = topic.sequencer.step().busy() ? topic.sequencedId : found.lastId();
    }
  }

  private boolean empty(TopicRow row, Memory topic) {
    for (int i = 0; i < EMPTIED_AT_ONCE; i++) {
      Optional<List<ChunkStore.Loss>> losses =
          database.run(session -> ChunkStore.empty(session, row.id()));
      if (losses.isEmpty()) {
        return i > 0;
      }
      tell(row, topic, losses.get());
    }
    return true;
  }

  /** A group that loses one chunk after the other is warned of once, until it has lost nothing. */
  private void tell(TopicRow row, Memory topic, List<ChunkStore.Loss> losses) {
    Set<String> losers = new HashSet<>();
    for (ChunkStore.Loss loss : losses) {
      losers.add(loss.group());
      if (topic.warned.add(loss.group())) {
        LOG.warn(
            "{}: retention has dropped records that group \"{}\" had not read: partition {}, offsets {} up to, not"
                + " including, {}; not said again while it goes on",
            row.name(),
            loss.group(),
            loss.partition(),
            loss.from(),
            loss.to());
      }
      try {
        listener.recordsDropped(
            new RecordsDropped(row.name(), loss.group(), loss.partition(), loss.from(), loss.to()));
      } catch (RuntimeException | Error e) {
        LOG.warn("{}: the listener failed", row.name(), e);
      }
    }
    topic.warned.retainAll(losers);
  }

  private boolean drop(ChunkStore.Overview found, Memory topic) {
    int topicId = found.topic().id();
    topic.forgotten.retainAll(found.emptied());
    for (int chunk : found.emptied()) {
      if (topic.forgotten.add(chunk)) {
        forgetSegments(topicId, chunk);
      }
    }
    if (System.nanoTime() - topic.dropAtNanos < 0) {
      return false;
    }
    boolean dropped = database.run(session -> ChunkStore.drop(session, topicId));
    if (dropped) {
      topic.dropping.reset();
    } else {
      topic.dropAtNanos = System.nanoTime() + topic.dropping.next().toNanos();
    }
    return dropped;
  }

  private void forgetSegments(int topicId, int chunk) {
    ChunkStore.Place last = ChunkStore.Place.BEGINNING;
    while (true) {
      ChunkStore.Place after = last;
      last = database.run(session -> ChunkStore.forgetSegments(session, topicId, chunk, after));
      if (last.equals(after)) {
        return;
      }
    }
  }
}
