package dev.trunkline.topic;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.SqlStates;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What topics need now and then, whoever does it: chunks, retention, compaction, the removal of
 * deleted ones. Runs in every process. A round is bounded; one topic in trouble does not keep the
 * others from theirs.
 */
final class Upkeep implements Step {
  private static final Logger LOG = LoggerFactory.getLogger(Upkeep.class);

  /** Rounds between which nothing happens are so many times as far apart. */
  private static final int IDLE = 5;

  /** Where there are no topics. Whoever declares one wakes the loop of its own process. */
  private static final Duration NOBODY = Duration.ofMinutes(1);

  private final Database database;
  private final Duration interval;
  private final ChunkUpkeep chunks;
  private final Compactor compactor;
  private final TopicRemoval removal;

  /** Topics that failed in the last round: said once. */
  private final Set<Integer> failing = new HashSet<>();

  Upkeep(Database database, TrunklineListener listener, Duration interval) {
    this.database = database;
    this.interval = interval;
    this.chunks = new ChunkUpkeep(database, listener);
    this.compactor = new Compactor(database);
    this.removal = new TopicRemoval(database);
  }

  @Override
  public Duration runOnce() {
    List<ChunkStore.Overview> topics = database.run(ChunkStore::overview);
    Set<Integer> ids = topics.stream().map(found -> found.topic().id()).collect(Collectors.toSet());
    chunks.retain(ids);
    compactor.retain(ids);
    failing.retainAll(ids);
    boolean worked = false;
    for (ChunkStore.Overview found : topics) {
      worked |= runOnce(found);
    }
    boolean removing = removal.runOnce();
    if (worked) {
      return interval;
    }
    return topics.isEmpty() && !removing ? NOBODY : interval.multipliedBy(IDLE);
  }

  private boolean runOnce(ChunkStore.Overview found) {
    TopicRow topic = found.topic();
    try {
      boolean worked = chunks.runOnce(found);
      if (topic.config().compaction().enabled()) {
        worked |= compactor.runOnce(topic);
      }
      if (failing.remove(topic.id())) {
        LOG.info("{}: the upkeep works again", topic.name());
      }
      return worked;
    } catch (TopicNotFoundException e) {
      LOG.debug("{}: deleted during its upkeep", topic.name());
    } catch (DatabaseException e) {
      if (SqlStates.isDown(e)) {
        throw e;
      }
      if (failing.add(topic.id())) {
        LOG.warn("{}: the upkeep failed, is tried again until it works", topic.name(), e);
      }
    }
    return false;
  }
}
