package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.error.PartitionLostException;
import dev.trunkline.internal.loop.Wakeup;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A member of a group that pulls: it polls, handles what it got, and commits when it says so.
 * Thread-safe; calls from several threads take turns.
 *
 * <p>Nothing is committed by itself. What was polled and not committed when a partition goes to
 * another member is polled again there. Whether the member lives is none of the polling thread's
 * business; but partitions that others wait for are handed over by a poll, and taken away from a
 * member that does not poll for its longest poll interval.
 */
public final class GroupConsumer implements AutoCloseable {
  private final TopicEngine engine;
  private final TopicRow topic;
  private final GroupRow group;
  private final PartitionListener listener;
  private final Committer committer;
  private final PulledPartitions partitions;
  private final Tail tail;
  private final Membership membership;
  private final Tail.Watch watch;
  private final Wakeup wakeup = new Wakeup();
  private final ReentrantLock lock = new ReentrantLock();
  private final MemberConsumer closeable = new Closeable();
  private volatile long polledNanos = System.nanoTime();
  private volatile boolean closed;

  GroupConsumer(
      TopicEngine engine,
      TopicRow topic,
      GroupRow group,
      GroupConfig config,
      PartitionListener listener)
      throws InterruptedException {
    this.engine = engine;
    this.topic = topic;
    this.group = group;
    this.listener = listener;
    this.tail = engine.tail(topic);
    this.committer = new Committer(engine.database(), engine.groups().rebalancer(), group);
    this.partitions = new PulledPartitions(engine, topic, group, committer);
    this.membership = engine.groups().join(group, config.member(), this::changed);
    this.watch = tail.watch(wakeup::signal);
  }

  GroupConsumer opened() {
    engine.groups().opened(closeable);
    return this;
  }

  /** The name of the group. */
  public String group() {
    return group.name();
  }

  /** The name of the topic. */
  public String topic() {
    return topic.name();
  }

  /**
   * The next records of this member's partitions, in the order of their offsets; partitions take
   * turns. Waits while there is nothing.
   *
   * @param maxWait zero to 1 h
   * @see #poll(PollOptions)
   */
  public List<TopicRecord> poll(Duration maxWait) {
    return poll(PollOptions.defaults().withMaxWait(maxWait));
  }

  /**
   * The next records of this member's partitions. First it takes up what was given to it and hands
   * over what others wait for, and calls the {@link PartitionListener}.
   *
   * @return none if the wait is over, or the calling thread was interrupted, and stays so
   * @throws OffsetOutOfRangeException if a position is not in the log and the group is told to
   *     {@link OutOfRange#FAIL}
   * @throws dev.trunkline.error.InstanceInUseException if another process has taken this static
   *     member's place
   * @throws dev.trunkline.error.GroupNotFoundException if the group has been deleted
   */
  public List<TopicRecord> poll(PollOptions options) {
    requireNonNull(options, "options");
    long end = System.nanoTime() + options.maxWait().toNanos();
    boolean sure = false;
    while (true) {
      lock.lock();
      try {
        requireOpen();
        polledNanos = System.nanoTime();
        partitions.adapt(membership, listener, this);
        List<TopicRecord> records = membership.isFresh() ? partitions.read(options) : List.of();
        if (!records.isEmpty()) {
          return records;
        }
        if (!sure && System.nanoTime() - end >= 0) {
          // Before it answers nothing: what was committed before is found, whoever has published
          // it. Until then the tail looks, at its own pace: a step for each poll would cut the log
          // into segments of a few records.
          sure = true;
          tail.boundsForSure();
          continue;
        }
      } finally {
        lock.unlock();
      }
      long left = end - System.nanoTime();
      if (left <= 0) {
        return List.of();
      }
      try {
        wakeup.await(Duration.ofNanos(left));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return List.of();
      }
    }
  }

  /**
   * On the pulse: a new view, or somebody still waits for a partition of this member's. It may come
   * before the constructor has the member.
   */
  private void changed(Membership member) {
    wakeup.signal();
    if (System.nanoTime() - polledNanos < member.config().maxPollInterval().toNanos()
        || !lock.tryLock()) {
      return;
    }
    try {
      if (!closed) {
        partitions.takeAwayWanted(member);
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Commits the positions of all partitions: everything that was polled has been handled. On disk
   * when it returns.
   *
   * @throws PartitionLostException if a partition is no longer this member's; the others were
   *     committed
   */
  public void commit() {
    lock.lock();
    try {
      requireOpen();
      commit(Committer.steps(partitions.holdings().all()));
    } finally {
      lock.unlock();
    }
  }

  /**
   * Commits positions: for each partition the offset of the record that is to be polled next.
   *
   * @param positions zero to the end of the partition
   * @throws PartitionLostException if a partition is not, or no longer, this member's; the others
   *     were committed
   */
  public void commit(Map<Integer, Long> positions) {
    requireNonNull(positions, "positions");
    lock.lock();
    try {
      requireOpen();
      List<Committer.Step> steps = new ArrayList<>();
      for (Map.Entry<Integer, Long> position : new TreeMap<>(positions).entrySet()) {
        Held held = required(position.getKey());
        checkOffset(held, position.getValue());
        steps.add(new Committer.Step(held, position.getValue()));
      }
      commit(steps);
    } finally {
      lock.unlock();
    }
  }

  private void commit(List<Committer.Step> steps) {
    List<Held> lost = committer.commit(steps, true);
    if (!lost.isEmpty()) {
      wakeup.signal();
      engine.groups().lookAgain();
      throw new PartitionLostException(topic.name(), group.name(), lost.get(0).partition());
    }
  }

  private void checkOffset(Held held, long offset) {
    if (offset < 0
        || (offset > held.position()
            && offset > tail.boundsForSure().ends().get(held.partition()))) {
      throw new IllegalArgumentException(
          "offset must be between zero and the end of partition %d: %d"
              .formatted(held.partition(), offset));
    }
  }

  /** The partitions that this member has, as of the last poll. */
  public Set<Integer> assignment() {
    return new TreeSet<>(partitions.holdings().partitions());
  }

  /**
   * The offset of the record that the next poll answers first.
   *
   * @throws PartitionLostException if the partition is not this member's
   */
  public long position(int partition) {
    return required(partition).position();
  }

  /**
   * Lets the next poll begin there. Nothing is committed by it.
   *
   * @param offset zero or more; one that is not in the log is out of range with the next poll
   * @throws PartitionLostException if the partition is not this member's
   */
  public void seek(int partition, long offset) {
    if (offset < 0) {
      throw new IllegalArgumentException("offset must not be negative: " + offset);
    }
    lock.lock();
    try {
      requireOpen();
      required(partition).moveTo(offset);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Lets the next poll begin there. Nothing is committed by it.
   *
   * @throws PartitionLostException if the partition is not this member's
   */
  public void seek(int partition, StartFrom place) {
    requireNonNull(place, "place");
    lock.lock();
    try {
      requireOpen();
      Held held = required(partition);
      tail.boundsForSure();
      Map<Integer, Long> places =
          engine.database().run(session -> GroupStore.resolve(session, topic.id(), place));
      held.moveTo(places.getOrDefault(partition, held.position()));
    } finally {
      lock.unlock();
    }
  }

  /**
   * Leaves a partition out of polls until it is resumed or goes to another member.
   *
   * @throws PartitionLostException if the partition is not this member's
   */
  public void pause(int partition) {
    lock.lock();
    try {
      required(partition);
      partitions.pause(partition);
    } finally {
      lock.unlock();
    }
  }

  /** Polls a partition again. */
  public void resume(int partition) {
    lock.lock();
    try {
      partitions.resume(partition);
      wakeup.signal();
    } finally {
      lock.unlock();
    }
  }

  private Held required(int partition) {
    @Nullable Held held = partitions.holdings().get(partition);
    if (held == null) {
      throw new PartitionLostException(topic.name(), group.name(), partition);
    }
    return held;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("this consumer is closed");
    }
  }

  /**
   * Leaves the group, after {@link PartitionListener#onRevoked} for all that it has; nothing is
   * committed by itself. A static member keeps its partitions for its session timeout. Idempotent.
   */
  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      try {
        if (!partitions.holdings().isEmpty()) {
          listener.onRevoked(this, assignment());
        }
      } finally {
        closed = true;
        watch.close();
        wakeup.signal();
        partitions.forgetAll();
        engine.groups().leave(membership);
        engine.groups().closed(closeable);
      }
    } finally {
      lock.unlock();
    }
  }

  /** As the process closes it. */
  private final class Closeable implements MemberConsumer {
    @Override
    public void close() {
      GroupConsumer.this.close();
    }

    @Override
    public boolean runsOnThisThread() {
      return lock.isHeldByCurrentThread();
    }
  }
}
