package dev.trunkline.deadletter;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.SqlStates;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * The dead letters of one queue: browse, replay, purge. Thread-safe.
 *
 * <p>A replay sends a message back to the queue it died in, at the end of the line, or where
 * messages wait by key to its old place in the line of its key: attempts start from zero, the
 * message keeps its id, its time to live begins anew, and the death is added to its history.
 * Replaying what is gone, or what another caller is replaying at this moment, does nothing.
 */
public final class DeadLetters {
  /** Most letters that one {@link #browse} answers. */
  public static final int MAX_PAGE = 1000;

  /** Letters per statement: a replay of a million is many short transactions. */
  private static final int STEP = 500;

  private final Database database;
  private final String queue;
  private final Runnable afterReplay;

  /**
   * For the library.
   *
   * @param afterReplay called when messages became ready
   */
  public DeadLetters(Database database, String queue, Runnable afterReplay) {
    this.database = database;
    this.queue = queue;
    this.afterReplay = afterReplay;
  }

  /**
   * The oldest dead letters.
   *
   * @param limit how many at most, 1 to {@link #MAX_PAGE}
   */
  public List<DeadLetter> browse(int limit) {
    return browse(0, limit);
  }

  /**
   * The oldest dead letters after one that was seen before.
   *
   * @param afterId the id of the last one seen
   * @param limit how many at most, 1 to {@link #MAX_PAGE}
   */
  public List<DeadLetter> browse(long afterId, int limit) {
    if (limit < 1 || limit > MAX_PAGE) {
      throw new IllegalArgumentException("limit must be between 1 and 1000: " + limit);
    }
    return database.run(session -> DeadLetterStore.browse(session, queue, afterId, limit));
  }

  /** One dead letter, if it is still there. */
  public Optional<DeadLetter> find(long id) {
    return database.run(session -> DeadLetterStore.browse(session, queue, id - 1, 1)).stream()
        .filter(letter -> letter.id() == id)
        .findFirst();
  }

  /**
   * Replays all that is dead now, in steps of 500; what dies while it runs stays dead.
   *
   * @return how many were replayed
   * @throws QueueNotFoundException if the queue has been deleted
   * @throws DatabaseException if a step fails; the steps before it stand
   */
  public int replayAll() {
    return inSteps(true);
  }

  /**
   * Replays dead letters by their ids.
   *
   * @return how many were replayed
   * @throws QueueNotFoundException if the queue has been deleted
   */
  public int replay(Collection<Long> ids) {
    int replayed = 0;
    for (long[] step : steps(ids)) {
      replayed += redrive(step);
      afterReplay.run();
    }
    return replayed;
  }

  /**
   * Deletes all that is dead now, in steps of 500.
   *
   * @return how many were deleted
   */
  public int purge() {
    return inSteps(false);
  }

  /**
   * Deletes dead letters by their ids.
   *
   * @return how many were deleted
   */
  public int purge(Collection<Long> ids) {
    int purged = 0;
    for (long[] step : steps(ids)) {
      purged += database.run(session -> DeadLetterStore.purge(session, queue, step));
    }
    return purged;
  }

  private int inSteps(boolean replay) {
    long upTo = database.run(session -> DeadLetterStore.newest(session, queue));
    int done = 0;
    long after = 0;
    while (true) {
      long from = after;
      long[] ids =
          database.run(session -> DeadLetterStore.idsBetween(session, queue, from, upTo, STEP));
      if (ids.length == 0) {
        return done;
      }
      done +=
          replay
              ? redrive(ids)
              : database.run(session -> DeadLetterStore.purge(session, queue, ids));
      if (replay) {
        afterReplay.run();
      }
      after = ids[ids.length - 1];
    }
  }

  private int redrive(long[] ids) {
    try {
      return database.run(session -> DeadLetterStore.redrive(session, queue, ids));
    } catch (DatabaseException e) {
      throw SqlStates.isUnknownQueue(e) ? new QueueNotFoundException(queue) : e;
    }
  }

  private static List<long[]> steps(Collection<Long> ids) {
    long[] all =
        requireNonNull(ids, "ids").stream().distinct().mapToLong(Long::longValue).toArray();
    int count = (all.length + STEP - 1) / STEP;
    return java.util.stream.IntStream.range(0, count)
        .mapToObj(
            i -> java.util.Arrays.copyOfRange(all, i * STEP, Math.min(all.length, (i + 1) * STEP)))
        .toList();
  }
}
