package dev.trunkline.topic;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.internal.db.Broadcast;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.Loop;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The members of shared groups in this process, and the loops that keep them: one that says they
 * are alive, one that takes back what the dead hold. Both begin with the first member. Thread-safe.
 */
final class SharedEngine {
  private static final Logger LOG = LoggerFactory.getLogger(SharedEngine.class);
  private static final int BEATS_TO_WAIT = 3;

  /** A notification that something waits for a shared group, and is due: this, then its id. */
  static final String DUE = "s,";

  /** A notification that a shared group was paused or resumed: this, then its id. */
  static final String PAUSED = "p,";

  private final Database database;
  private final Broadcast broadcast;
  private final Duration interval;
  private final DueTime expiry = new DueTime();
  private final Set<SharedMember> members = ConcurrentHashMap.newKeySet();
  private final AtomicBoolean started = new AtomicBoolean();
  private final SharedReaper reaper;
  private final Loop pulse;
  private final Loop reaping;

  SharedEngine(Database database, Broadcast broadcast, Duration interval) {
    this.database = database;
    this.broadcast = broadcast;
    this.interval = interval;
    this.reaper = new SharedReaper(database, expiry, this::returned);
    this.pulse = new Loop("shared-pulse", new SharedPulse(this, expiry, interval));
    this.reaping = new Loop("shared-reaper", reaper);
    expiry.onBroughtForward(reaping::wake);
  }

  Database database() {
    return database;
  }

  Set<SharedMember> members() {
    return members;
  }

  /** When the next lease expires, as far as this process knows. */
  DueTime expiry() {
    return expiry;
  }

  /**
   * Joins a group.
   *
   * @throws GroupNotFoundException if it has been deleted
   */
  SharedMember join(SharedGroupRow group) {
    Duration sessionTimeout = group.agreed().sessionTimeout();
    if (sessionTimeout.compareTo(interval.multipliedBy(BEATS_TO_WAIT)) < 0) {
      throw new IllegalArgumentException(
          "sessionTimeout must be at least three poll intervals (%s): %s"
              .formatted(interval.multipliedBy(BEATS_TO_WAIT), sessionTimeout));
    }
    SharedMember member = new SharedMember(group, register(group));
    members.add(member);
    if (started.compareAndSet(false, true)) {
      pulse.start();
      reaping.start();
    }
    pulse.wake();
    return member;
  }

  /** Under the lock of the group's row, so that a reset does not miss it. */
  private long register(SharedGroupRow group) {
    return database.inTransaction(
        session -> {
          if (!RebalanceStore.lock(session, group.id())) {
            throw new GroupNotFoundException(group.topic(), group.name());
          }
          RebalanceStore.addPartitions(session, group.id());
          return SharedPulseStore.join(session, group.id(), GroupEngine.host());
        });
  }

  /** It was taken for dead. What it held belongs to others by now; it begins anew. */
  void joinAgain(SharedMember member) {
    if (!members.contains(member)) {
      return;
    }
    SharedGroupRow group = member.group();
    LOG.warn(
        "{}: member {} was silent for too long and has been taken for dead: it joins again",
        group.title(),
        member.id());
    try {
      member.rejoined(register(group));
    } catch (GroupNotFoundException e) {
      LOG.warn("{}: it cannot: {}", group.title(), e.getMessage());
      members.remove(member);
      member.ended(e);
    }
  }

  /**
   * Gives back, uncounted, whatever the member still holds, and leaves. If the database cannot be
   * reached, the others find out by its silence.
   */
  void leave(SharedMember member) {
    members.remove(member);
    try {
      reaper.remove(member.id());
    } catch (DatabaseException e) {
      LOG.warn(
          "{}: member {} leaves without saying so: {}",
          member.group().title(),
          member.id(),
          e.getMessage());
    }
  }

  /** Records of a group wait again, the first of them for so long. */
  void returned(int groupId, long soonestMs) {
    dueIn(groupId, soonestMs);
    if (soonestMs <= 0) {
      broadcast.tell(DUE + groupId);
    }
  }

  /** Another process has given something back that is due. */
  void announced(int groupId) {
    dueIn(groupId, 0);
  }

  private void dueIn(int groupId, long millis) {
    membersOf(groupId).forEach(member -> member.dueIn(millis));
  }

  private Stream<SharedMember> membersOf(int groupId) {
    return members.stream().filter(member -> member.group().id() == groupId);
  }

  /** A group was paused, or resumed, by this process. */
  void paused(int groupId, boolean whether) {
    membersOf(groupId).forEach(member -> member.paused(whether));
    broadcast.tell(PAUSED + groupId);
  }

  /** Nobody knows what was missed. */
  void lookAgain() {
    pulse.wake();
  }

  /** Stops the loops; members have left before. */
  void close() {
    if (started.get()) {
      pulse.stop();
      reaping.stop();
      pulse.close();
      reaping.close();
    }
  }
}
