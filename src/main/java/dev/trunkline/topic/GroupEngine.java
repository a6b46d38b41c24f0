package dev.trunkline.topic;

import dev.trunkline.error.InstanceInUseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.Loop;
import dev.trunkline.internal.loop.Wakeup;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The members of groups in this process, and the pulse that keeps them. Thread-safe. */
final class GroupEngine {
  private static final Logger LOG = LoggerFactory.getLogger(GroupEngine.class);
  private static final int BEATS_TO_WAIT = 3;

  private final Database database;
  private final Duration interval;
  private final Rebalancer rebalancer;
  private final GroupPulse pulse;
  private final Loop loop;
  private final Loop housekeeping;
  private final boolean notifies;
  private final AtomicBoolean started = new AtomicBoolean();
  private final Set<MemberConsumer> open = ConcurrentHashMap.newKeySet();

  /**
   * For this process.
   *
   * @param interval between two beats
   * @param notifies whether other processes are told by NOTIFY
   */
  GroupEngine(Database database, Duration interval, boolean notifies) {
    this.database = database;
    this.interval = interval;
    this.rebalancer = new Rebalancer(database, notifies, this::lookAgain);
    this.pulse = new GroupPulse(database, rebalancer, interval);
    this.loop = new Loop("group-pulse", pulse);
    this.housekeeping = new Loop("group-housekeeping", new GroupHousekeeping(database));
    this.notifies = notifies;
  }

  Database database() {
    return database;
  }

  Rebalancer rebalancer() {
    return rebalancer;
  }

  /** Another process, or this one, has moved partitions of a group. */
  void announced(int groupId) {
    if (pulse.knows(groupId)) {
      loop.wake();
    }
  }

  /** Something came back to a group: whoever has members of it looks. */
  void moved(int groupId) {
    if (notifies) {
      database.run(
          session -> {
            RebalanceStore.tell(session, groupId);
            return true;
          });
    }
    lookAgain();
  }

  /** Nobody knows what was missed. */
  void lookAgain() {
    loop.wake();
  }

  /**
   * Joins a group; partitions come with the first view.
   *
   * @param changed called, by any thread, when there is a new view; it must be quick
   * @throws InstanceInUseException if a static member of this id is alive
   */
  Membership join(GroupRow group, MemberConfig config, Consumer<Membership> changed)
      throws InterruptedException {
    Duration sessionTimeout = group.agreed().sessionTimeout();
    if (sessionTimeout.compareTo(interval.multipliedBy(BEATS_TO_WAIT)) < 0) {
      throw new IllegalArgumentException(
          "sessionTimeout must be at least three poll intervals (%s): %s"
              .formatted(interval.multipliedBy(BEATS_TO_WAIT), sessionTimeout));
    }
    long id =
        config.instanceId().isPresent()
            ? joinAs(group, config.instanceId().get())
            : rebalancer.change(
                group, session -> MemberStore.join(session, group, "", host(), sessionTimeout));
    Membership member = new Membership(group, config, id, changed);
    pulse.add(member);
    if (started.compareAndSet(false, true)) {
      loop.start();
      housekeeping.start();
    }
    loop.wake();
    return member;
  }

  /**
   * Takes the place of a static member that is away or has fallen silent; its partitions come along
   * and nobody else notices. Without one, joins like any other.
   */
  private long joinAs(GroupRow group, String instanceId) throws InterruptedException {
    Optional<MemberStore.Instance> known = instance(group, instanceId);
    if (known.isPresent() && !known.get().away()) {
      awaitSilence(group, instanceId, known.get());
    }
    return rebalancer.change(
        group,
        session -> {
          Optional<MemberStore.Instance> before =
              MemberStore.instance(session, group.id(), instanceId);
          boolean alive =
              before.isPresent()
                  && !before.get().away()
                  && !before
                      .map(MemberStore.Instance::heard)
                      .equals(known.map(MemberStore.Instance::heard));
          if (alive) {
            throw inUse(group, instanceId, before.get());
          }
          before.ifPresent(old -> MemberStore.leave(session, old.id()));
          long id =
              MemberStore.join(session, group, instanceId, host(), group.agreed().sessionTimeout());
          before.ifPresent(old -> MemberStore.inherit(session, group.id(), old.id(), id));
          return id;
        });
  }

  private void awaitSilence(GroupRow group, String instanceId, MemberStore.Instance known)
      throws InterruptedException {
    Wakeup never = new Wakeup();
    for (int beat = 0; beat < BEATS_TO_WAIT; beat++) {
      never.await(interval);
      Optional<MemberStore.Instance> now = instance(group, instanceId);
      if (now.isEmpty() || now.get().away()) {
        return;
      }
      if (now.get().id() != known.id() || now.get().heard() != known.heard()) {
        throw inUse(group, instanceId, now.get());
      }
    }
  }

  private static InstanceInUseException inUse(
      GroupRow group, String instanceId, MemberStore.Instance other) {
    return new InstanceInUseException(group.name(), instanceId, other.host(), other.pid());
  }

  private Optional<MemberStore.Instance> instance(GroupRow group, String instanceId) {
    return database.run(session -> MemberStore.instance(session, group.id(), instanceId));
  }

  /**
   * Leaves: what it has is free at once. A static member keeps its place until its session is over.
   * If the database cannot be reached, the others find out by its silence.
   */
  void leave(Membership member) {
    pulse.remove(member);
    long id = member.id();
    try {
      if (member.config().instanceId().isPresent()) {
        database.run(session -> MemberStore.goAway(session, id));
      } else {
        rebalancer.change(
            member.group(),
            session -> {
              MemberStore.leave(session, id);
              return true;
            });
      }
    } catch (dev.trunkline.error.GroupNotFoundException e) {
      LOG.debug("{}: left a group that is gone", member.group().title());
    } catch (dev.trunkline.error.DatabaseException e) {
      LOG.warn(
          "{}: member {} leaves without saying so: {}", member.group().title(), id, e.getMessage());
    }
    loop.wake();
  }

  /** A consumer, to be closed with the process. */
  <T extends MemberConsumer> T opened(T consumer) {
    open.add(consumer);
    return consumer;
  }

  /** A consumer closed by itself. */
  void closed(MemberConsumer consumer) {
    open.remove(consumer);
  }

  /**
   * Closes all consumers, all at once, then the pulse. Called by a handler, it returns at once: a
   * handler that waited for itself would wait for ever.
   */
  void closeAll(Runnable afterwards) {
    if (open.stream().anyMatch(MemberConsumer::runsOnThisThread)) {
      new Thread(() -> stop(afterwards), "trunkline-closer").start();
    } else {
      stop(afterwards);
    }
  }

  /** In parallel: the slowest handler decides how long it takes, not their sum. */
  private void stop(Runnable afterwards) {
    boolean interrupted = Thread.interrupted();
    List<Thread> closers = new ArrayList<>();
    for (MemberConsumer consumer : open) {
      Thread closer = new Thread(consumer::close, "trunkline-group-closer");
      closer.setDaemon(true);
      closer.start();
      closers.add(closer);
    }
    if (interrupted) {
      closers.forEach(Thread::interrupt);
    }
    for (Thread closer : closers) {
      while (closer.isAlive()) {
        try {
          closer.join();
        } catch (InterruptedException e) {
          interrupted = true;
          closers.forEach(Thread::interrupt);
        }
      }
    }
    close();
    if (interrupted) {
      // Before, not after: what is closed next must not wait either.
      Thread.currentThread().interrupt();
    }
    afterwards.run();
  }

  /** Stops the pulse; members have left before. */
  void close() {
    if (started.get()) {
      housekeeping.stop();
      loop.close();
      housekeeping.close();
    }
  }

  static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "unknown";
    }
  }
}
