package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.internal.db.Database;
import dev.trunkline.retry.FailurePolicy;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What has failed in one partition, as its holder knows it: attempts, parked keys, and what comes
 * back. The database knows it, too; a copy here saves asking for every record. Nobody but the
 * holder parks a key; one that was released meanwhile is noticed by the statement that would bury
 * along. Used by one thread at a time.
 */
final class FailureDesk {
  /** Instead of a number of attempts: the partition is another member's. */
  static final int NOT_MINE = -1;

  private static final int MAX_REDELIVERIES = 100;

  private final Database database;
  private final GroupRow group;
  private final Held held;
  private final Map<Long, Integer> attempts = new HashMap<>();
  private final Set<String> parked = new HashSet<>();
  private boolean loaded;

  FailureDesk(Database database, GroupRow group, Held held) {
    this.database = database;
    this.group = group;
    this.held = held;
  }

  /** What came of giving a record up. */
  enum Settled {
    /** It is a dead letter, and the group is past it. */
    DONE,

    /** Nothing was done: its key is not parked any more. */
    RELEASED,

    /** Nothing was done: the partition is another member's. */
    LOST
  }

  /** Once, before the first record: what the holder before has left. */
  void load() {
    if (!loaded) {
      attempts.putAll(
          database.run(session -> FailureStore.counted(session, group.id(), held.partition())));
      reloadParked();
      loaded = true;
    }
  }

  private void reloadParked() {
    parked.clear();
    parked.addAll(
        database.run(session -> FailureStore.parked(session, group.id(), held.partition())));
  }

  boolean isParked(TopicRecord record) {
    return !parked.isEmpty() && record.key().filter(parked::contains).isPresent();
  }

  /** Whether it is not to be handled together with others. */
  boolean isSpecial(TopicRecord record) {
    return isParked(record) || attempts.containsKey(record.offset());
  }

  /** Counts a failed attempt, for good. Answers how many there were, or {@link #NOT_MINE}. */
  int count(TopicRecord record, DeathError error) {
    int failures = attempts.getOrDefault(record.offset(), 0) + 1;
    boolean mine =
        database.run(
            session ->
                FailureStore.count(session, group.id(), held, record.offset(), failures, error));
    if (!mine) {
      return NOT_MINE;
    }
    attempts.put(record.offset(), failures);
    return failures;
  }

  /** Records were handled: their attempts do not matter any more. The maintenance deletes them. */
  void passed(List<TopicRecord> records) {
    if (!attempts.isEmpty()) {
      records.forEach(record -> attempts.remove(record.offset()));
    }
  }

  /**
   * Makes a record a dead letter, and parks its key if that is the policy.
   *
   * @param position the offset that the group goes on from, or -1 for what came back
   */
  Settled bury(
      TopicRecord record,
      DeathReason reason,
      DeathError error,
      long position,
      @Nullable Redelivery redelivery) {
    boolean park = group.agreed().failurePolicy() == FailurePolicy.PARK && record.key().isPresent();
    int failures = attempts.getOrDefault(record.offset(), 0);
    Settled settled =
        bury(
            new FailureStore.Burial(
                record, reason, error, failures, park, false, position, id(redelivery)));
    if (settled == Settled.DONE) {
      attempts.remove(record.offset());
      if (park) {
        record.key().ifPresent(parked::add);
      }
    }
    return settled;
  }

  /** Makes a record a dead letter because one before it of its key is, if it still is. */
  Settled buryAlong(TopicRecord record, long position, @Nullable Redelivery redelivery) {
    Settled settled =
        bury(
            new FailureStore.Burial(
                record, DeathReason.PARKED, null, 0, false, true, position, id(redelivery)));
    if (settled == Settled.RELEASED) {
      reloadParked();
    }
    return settled;
  }

  private Settled bury(FailureStore.Burial burial) {
    FailureStore.Buried came =
        database.run(session -> FailureStore.bury(session, group.id(), held, burial));
    if (!came.held()) {
      return Settled.LOST;
    }
    return came.buried() ? Settled.DONE : Settled.RELEASED;
  }

  List<Redelivery> redeliveries() {
    return database.run(
        session ->
            FailureStore.redeliveries(
                session, group.id(), group.topic(), held.partition(), MAX_REDELIVERIES));
  }

  /** One that came back was handled. Answers whether the partition is still the member's. */
  boolean finish(Redelivery redelivery) {
    return database.run(session -> FailureStore.finish(session, group.id(), held, redelivery));
  }

  private static long id(@Nullable Redelivery redelivery) {
    return redelivery == null ? -1 : redelivery.id();
  }
}
