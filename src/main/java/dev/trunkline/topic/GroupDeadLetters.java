package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.DatabaseException;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The records that a group has given up: browse, replay, release, purge. Thread-safe.
 *
 * <p>A replayed record is delivered to this group only, at its own offset, before newer records of
 * its partition and in the order of the log; attempts start from zero. The members that {@code
 * subscribe} get it; one that pulls does not. To a shared group it goes as soon as somebody asks
 * for records, in no order.
 */
public final class GroupDeadLetters {
  /** Most letters that one {@link #browse} answers. */
  public static final int MAX_PAGE = 1000;

  /** Letters per statement: a replay of a million is many short transactions. */
  private static final int STEP = 500;

  private final TopicEngine engine;
  private final GroupRow group;

  GroupDeadLetters(TopicEngine engine, GroupRow group) {
    this.engine = engine;
    this.group = group;
  }

  /**
   * The oldest dead letters.
   *
   * @param limit how many at most, 1 to {@link #MAX_PAGE}
   */
  public List<DeadRecord> browse(int limit) {
    return browse(0, limit);
  }

  /**
   * The oldest dead letters after one that was seen before.
   *
   * @param afterId the id of the last one seen
   * @param limit how many at most, 1 to {@link #MAX_PAGE}
   */
  public List<DeadRecord> browse(long afterId, int limit) {
    engine.requireOpen();
    if (limit < 1 || limit > MAX_PAGE) {
      throw new IllegalArgumentException("limit must be between 1 and 1000: " + limit);
    }
    return engine.database().run(session -> DeadRecordStore.browse(session, group, afterId, limit));
  }

  /** One dead letter, if it is still there. */
  public Optional<DeadRecord> find(long id) {
    return browse(id - 1, 1).stream().filter(letter -> letter.id() == id).findFirst();
  }

  /**
   * Replays dead letters by their ids. Those of parked keys stay: see {@link #release}.
   *
   * @return how many were replayed
   */
  public int replay(Collection<Long> ids) {
    int replayed = 0;
    for (long[] step : steps(ids)) {
      replayed += back(step);
    }
    return replayed;
  }

  /**
   * Releases all parked keys, and replays all that is dead now; what dies while it runs stays dead.
   *
   * @return how many were replayed
   * @throws DatabaseException if a step fails; the steps before it stand
   */
  public int replayAll() {
    int replayed = 0;
    for (String key : parkedKeys()) {
      replayed += release(key);
    }
    long upTo = newest();
    for (long[] step = after(0, upTo); step.length > 0; step = after(last(step), upTo)) {
      replayed += back(step);
    }
    return replayed;
  }

  /** The keys whose records wait behind a dead letter, longest first. */
  public List<String> parkedKeys() {
    engine.requireOpen();
    return engine.database().run(session -> DeadRecordStore.parkedKeys(session, group));
  }

  /**
   * Releases a parked key: all its dead letters go back to the group, the one at fault first,
   * before the newer records of the key; in one transaction. To leave the one at fault out, purge
   * it before.
   *
   * @return how many were replayed; zero if the key is not parked
   */
  public int release(String key) {
    engine.requireOpen();
    requireNonNull(key, "key");
    int released =
        engine.database().inTransaction(session -> DeadRecordStore.release(session, group, key));
    tell();
    return released;
  }

  /**
   * Deletes dead letters by their ids.
   *
   * @return how many were deleted
   */
  public int purge(Collection<Long> ids) {
    int purged = 0;
    for (long[] step : steps(ids)) {
      purged += engine.database().run(session -> DeadRecordStore.purge(session, group, step));
    }
    return purged;
  }

  /**
   * Deletes all that is dead now, in steps of 500. Parked keys stay parked.
   *
   * @return how many were deleted
   */
  public int purge() {
    long upTo = newest();
    int purged = 0;
    for (long[] step = after(0, upTo); step.length > 0; step = after(last(step), upTo)) {
      long[] ids = step;
      purged += engine.database().run(session -> DeadRecordStore.purge(session, group, ids));
    }
    return purged;
  }

  private int back(long[] ids) {
    int replayed = engine.database().run(session -> DeadRecordStore.replay(session, group, ids));
    tell();
    return replayed;
  }

  /** Those who hold the partitions look for what comes back. */
  private void tell() {
    if (group.agreed().kind() == GroupKind.SHARED) {
      engine.shared().returned(group.id(), 0);
    } else {
      engine.groups().moved(group.id());
    }
  }

  private long newest() {
    engine.requireOpen();
    return engine.database().run(session -> DeadRecordStore.newest(session, group));
  }

  private long[] after(long afterId, long upTo) {
    return engine
        .database()
        .run(session -> DeadRecordStore.ids(session, group, afterId, upTo, STEP));
  }

  private static long last(long[] ids) {
    return ids[ids.length - 1];
  }

  private List<long[]> steps(Collection<Long> ids) {
    engine.requireOpen();
    long[] all =
        requireNonNull(ids, "ids").stream().distinct().mapToLong(Long::longValue).toArray();
    return IntStream.range(0, (all.length + STEP - 1) / STEP)
        .mapToObj(i -> Arrays.copyOfRange(all, i * STEP, Math.min(all.length, (i + 1) * STEP)))
        .toList();
  }
}
