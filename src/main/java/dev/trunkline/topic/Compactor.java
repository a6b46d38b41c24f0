package dev.trunkline.topic;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Removes records that a newer one of their key has replaced. Runs in every process; a lock keeps
 * two from doing the same. Not thread-safe.
 *
 * <p>A partition is looked at once, in the order of its offsets, as far as records are older than
 * the lag. Of each key that a batch holds its newest record stays; the others in the batch go, and
 * the one that was the newest before. So that it is found, {@code latest_by_key} holds the newest
 * of each key, up to where the look has come. All of a batch is one transaction.
 *
 * <p>INVARIANT: a record is removed only when a newer one of its key is in the log, or when it is a
 * tombstone that has stayed for its time; so the newest value of a key is always there.
 */
final class Compactor {
  /** Up to 200 records each. */
  private static final int SEGMENTS_AT_ONCE = 20;

  private static final int TIDIED_AT_ONCE = 1000;

  /** After this a round leaves the rest to the next one. */
  private static final Duration ROUND = Duration.ofMillis(200);

  private final Database database;
  private final Map<Integer, Marks> topics = new HashMap<>();

  Compactor(Database database) {
    this.database = database;
  }

  /**
   * Per partition where looks for what is to be tidied begin: what died before is not walked again.
   */
  private static final class Marks {
    final Map<Integer, Long> tombstones = new HashMap<>();
    final Map<Integer, Long> dropped = new HashMap<>();
  }

  /** All topics there are: what is remembered of others is forgotten. */
  void retain(Set<Integer> topicIds) {
    topics.keySet().retainAll(topicIds);
  }

  /** One round for one topic. Answers whether it left something to do. */
  boolean runOnce(TopicRow topic) {
    long end = System.nanoTime() + ROUND.toNanos();
    Marks marks = topics.computeIfAbsent(topic.id(), id -> new Marks());
    List<CompactionStore.Progress> partitions =
        database.run(
            session ->
                CompactionStore.partitions(session, topic.id(), topic.config().compaction()));
    boolean left = false;
    for (CompactionStore.Progress partition : partitions) {
      left |= partition.hasMore() && compact(topic, partition.partition(), end);
      left |= tidy(topic, partition, marks);
    }
    return left;
  }

  /** Batch after batch, until there is nothing or the time is over. Answers whether it was that. */
  private boolean compact(TopicRow topic, int partition, long endNanos) {
    do {
      if (!database.inTransaction(session -> batch(session, topic, partition))) {
        return false;
      }
    } while (System.nanoTime() - endNanos < 0);
    return true;
  }

  /** Answers whether there was something, and perhaps more. */
  private static boolean batch(Session session, TopicRow topic, int partition) {
    if (!CompactionStore.tryLock(session, topic.id())) {
      return false;
    }
    Compaction compaction = topic.config().compaction();
    CompactionStore.Progress before =
        CompactionStore.partitions(session, topic.id(), compaction).get(partition);
    List<CompactionStore.Segment> segments =
        CompactionStore.segments(session, topic.id(), before, compaction, SEGMENTS_AT_ONCE);
    if (segments.isEmpty()) {
      return false;
    }
    List<CompactionStore.Latest> replaced = new ArrayList<>();
    Collection<CompactionStore.Latest> latest =
        latest(records(session, topic.id(), segments), replaced);
    long[] hashes = latest.stream().mapToLong(record -> hash(record.key())).toArray();
    Map<String, CompactionStore.Latest> known = new HashMap<>();
    if (!latest.isEmpty()) {
      CompactionStore.latest(session, topic.id(), partition, hashes)
          .forEach(record -> known.put(record.key(), record));
    }
    List<CompactionStore.Latest> forgotten = new ArrayList<>();
    for (CompactionStore.Latest record : latest) {
      CompactionStore.Latest older = known.get(record.key());
      if (older != null) {
        forgotten.add(older);
      }
    }
    replaced.addAll(forgotten);
    remove(session, topic.id(), replaced);
    if (!forgotten.isEmpty()) {
      CompactionStore.forget(session, topic.id(), partition, offsets(forgotten));
    }
    if (!latest.isEmpty()) {
      CompactionStore.remember(session, topic.id(), partition, new ArrayList<>(latest), hashes);
    }
    CompactionStore.step(session, topic.id(), before, segments.get(segments.size() - 1).end());
    return true;
  }

  /** The records of these segments that have a key and are there, in the order of their offsets. */
  private static List<CompactionStore.Latest> records(
      Session session, int topicId, List<CompactionStore.Segment> segments) {
    long[] ids =
        segments.stream().flatMapToLong(segment -> Arrays.stream(segment.ids())).sorted().toArray();
    Map<Long, CompactionStore.Keyed> byId = new HashMap<>();
    CompactionStore.keys(session, topicId, ids).forEach(keyed -> byId.put(keyed.id(), keyed));
    List<CompactionStore.Latest> records = new ArrayList<>();
    for (CompactionStore.Segment segment : segments) {
      for (int i = 0; i < segment.ids().length; i++) {
        CompactionStore.Keyed keyed = byId.get(segment.ids()[i]);
        if (keyed != null) {
          records.add(
              new CompactionStore.Latest(
                  segment.base() + i, keyed.id(), keyed.isTombstone(), keyed.key()));
        }
      }
    }
    return records;
  }

  /** The newest of each key; the others are added to those that were replaced. */
  private static Collection<CompactionStore.Latest> latest(
      List<CompactionStore.Latest> records, List<CompactionStore.Latest> replaced) {
    Map<String, CompactionStore.Latest> latest = new LinkedHashMap<>();
    for (CompactionStore.Latest record : records) {
      CompactionStore.Latest older = latest.put(record.key(), record);
      if (older != null) {
        replaced.add(older);
      }
    }
    return latest.values();
  }

  /** Chunk by chunk, so that each statement opens one. */
  private static void remove(Session session, int topicId, List<CompactionStore.Latest> records) {
    Map<Long, List<Long>> byChunk = new TreeMap<>();
    for (CompactionStore.Latest record : records) {
      byChunk
          .computeIfAbsent(record.recordId() >> 40, chunk -> new ArrayList<>())
          .add(record.recordId());
    }
    byChunk
        .values()
        .forEach(
            ids ->
                CompactionStore.remove(
                    session, topicId, ids.stream().mapToLong(Long::longValue).sorted().toArray()));
  }

  /** Tombstones that have stayed for long enough, and what retention has dropped. */
  private boolean tidy(TopicRow topic, CompactionStore.Progress partition, Marks marks) {
    long dropped = marks.dropped.getOrDefault(partition.partition(), 0L);
    boolean left = false;
    if (dropped < partition.logStart()) {
      int gone =
          database.run(
              session ->
                  CompactionStore.forgetDropped(
                      session, topic.id(), partition, dropped, TIDIED_AT_ONCE));
      left = gone == TIDIED_AT_ONCE;
      if (!left) {
        marks.dropped.put(partition.partition(), partition.logStart());
      }
    }
    long tombstones = marks.tombstones.getOrDefault(partition.partition(), 0L);
    if (tombstones < partition.tombstonesEnd()) {
      long next =
          database.inTransaction(
              session -> removeTombstones(session, topic.id(), partition, tombstones));
      left |= next < partition.tombstonesEnd();
      marks.tombstones.put(partition.partition(), next);
    }
    return left;
  }

  /** Answers the offset to go on from. */
  private static long removeTombstones(
      Session session, int topicId, CompactionStore.Progress partition, long fromOffset) {
    if (!CompactionStore.tryLock(session, topicId)) {
      return fromOffset;
    }
    List<CompactionStore.Latest> tombstones =
        CompactionStore.tombstones(session, topicId, partition, fromOffset, TIDIED_AT_ONCE);
    if (!tombstones.isEmpty()) {
      remove(session, topicId, tombstones);
      CompactionStore.forget(session, topicId, partition.partition(), offsets(tombstones));
    }
    return tombstones.size() < TIDIED_AT_ONCE
        ? partition.tombstonesEnd()
        : tombstones.get(TIDIED_AT_ONCE - 1).offset() + 1;
  }

  private static long[] offsets(List<CompactionStore.Latest> records) {
    return records.stream().mapToLong(CompactionStore.Latest::offset).toArray();
  }

  private static long hash(String key) {
    try {
      return ByteBuffer.wrap(MessageDigest.getInstance("MD5").digest(key.getBytes(UTF_8)))
          .getLong();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has MD5", e);
    }
  }
}
