package dev.trunkline.topic;

import dev.trunkline.error.PartitionLostException;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.internal.loop.Loop;
import dev.trunkline.internal.loop.Workers;
import dev.trunkline.internal.work.Closing;
import dev.trunkline.topic.GroupPulseStore.Claim;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A member of a group whose records are pushed to a handler, from {@code subscribe} until it is
 * closed. Thread-safe.
 *
 * <p>A few workers handle the records of its partitions: those of one partition in order and one at
 * a time, those of different partitions at the same time. What was handled is committed a few times
 * a second, when a partition goes to another member, and at the close.
 */
public final class Subscription implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Subscription.class);
  private static final Duration COMMIT_EVERY = Duration.ofMillis(200);
  private static final Duration UNTIL_WOKEN = Duration.ofHours(1);

  private final TopicEngine engine;
  private final GroupRow group;
  private final MemberConfig config;
  private final PartitionFlow.Feed feed;
  private final Committer committer;
  private final Membership membership;
  private final Tail.Watch watch;
  private final Loop dispatcher;
  private final Workers workers;
  private final BlockingQueue<PartitionFlow> ready = new LinkedBlockingQueue<>();
  private final Holdings<PartitionFlow> flows = new Holdings<>(PartitionFlow::held);
  private final Closing closing;
  private final MemberConsumer closeable = new Closeable();
  private volatile boolean stopping;
  private volatile Optional<TrunklineException> failure = Optional.empty();
  private long committedNanos = System.nanoTime();

  Subscription(
      TopicEngine engine, TopicRow topic, GroupRow group, GroupConfig config, Handling handling)
      throws InterruptedException {
    this.engine = engine;
    this.group = group;
    this.config = config.member();
    this.committer = new Committer(engine.database(), engine.groups().rebalancer(), group);
    this.dispatcher = new Loop(group.title() + "-dispatcher", this::dispatch);
    this.workers =
        new Workers(
            group.title(),
            this.config.workers(topic.config().partitions()),
            this.config.virtualThreads(),
            this::work);
    this.closing = new Closing(group.title(), workers, new Stopping());
    this.membership = engine.groups().join(group, this.config, changed -> dispatcher.wake());
    this.feed =
        new PartitionFlow.Feed(engine, topic, group, this.config, handling, membership, committer);
    this.watch = engine.tail(topic).watch(this::grown);
  }

  Subscription start() {
    engine.groups().opened(closeable);
    workers.start();
    dispatcher.start();
    return this;
  }

  /** The name of the group. */
  public String group() {
    return group.name();
  }

  /** The name of the topic. */
  public String topic() {
    return group.topic();
  }

  /** The partitions that this member has now. */
  public Set<Integer> assignment() {
    return new TreeSet<>(flows.partitions());
  }

  /**
   * Pauses a partition: no further record of it is begun until it is resumed, or goes to another
   * member; what is in hand is finished. It stays this member's, and the others go on. Idempotent.
   *
   * @throws PartitionLostException if the partition is not this member's
   */
  public void pause(int partition) {
    PartitionFlow flow = flows.get(partition);
    if (flow == null) {
      throw new PartitionLostException(group.topic(), group.name(), partition);
    }
    flow.held().pause(true);
  }

  /** Goes on with a partition after {@link #pause}; does nothing for one of another member. */
  public void resume(int partition) {
    PartitionFlow flow = flows.get(partition);
    if (flow != null) {
      flow.held().pause(false);
      dispatcher.wake();
    }
  }

  /** Whether {@link #close} has been called. */
  public boolean isClosed() {
    return stopping;
  }

  /**
   * Why it has ended by itself: {@link dev.trunkline.error.InstanceInUseException} if another
   * process has taken this static member's place, {@link
   * dev.trunkline.error.GroupNotFoundException} if the group was deleted. Empty while it works.
   */
  public Optional<TrunklineException> failure() {
    return failure;
  }

  /** Hands out what is due at once: by way of the dispatcher it would wait for two threads. */
  private void grown() {
    if (!stopping) {
      flows.all().stream().filter(flow -> flow.dueIn().isZero()).forEach(this::handOut);
    }
  }

  private void handOut(PartitionFlow flow) {
    if (flow.enqueue()) {
      ready.add(flow);
    }
  }

  private Duration dispatch() {
    if (stopping) {
      return UNTIL_WOKEN;
    }
    adapt();
    Duration untilCommit = commitNowAndThen();
    Duration untilRetry = UNTIL_WOKEN;
    for (PartitionFlow flow : flows.all()) {
      Duration due = flow.dueIn();
      if (due.isZero()) {
        handOut(flow);
      } else {
        untilRetry = shorter(untilRetry, due);
      }
    }
    return shorter(untilCommit, untilRetry);
  }

  /** Makes what is held what the database says. */
  private void adapt() {
    Membership.View view = membership.view();
    Membership.Difference difference = flows.differenceTo(view);
    for (int partition : difference.lost()) {
      if (flow(partition).stop()) {
        LOG.warn("{}: partition {} is lost: it is another member's", group.title(), partition);
      }
    }
    difference.wanted().forEach(partition -> flow(partition).stop());
    // Those that have nothing in hand any more.
    List<Integer> lost = difference.lost().stream().filter(this::isIdle).toList();
    lost.forEach(flows::giveUp);
    List<Integer> going = difference.wanted().stream().filter(this::isIdle).toList();
    if (!going.isEmpty()) {
      List<Committer.Step> last = new ArrayList<>();
      for (Held held : flows.held(going)) {
        last.add(new Committer.Step(held, held.isDirty() ? held.position() : -1));
      }
      committer.release(last);
      going.forEach(flows::giveUp);
    }
    // A lost one may come back before its last record was finished: one after the other.
    takeUp(
        view,
        difference.gained().stream()
            .filter(claim -> !flows.partitions().contains(claim.partition()))
            .toList());
    for (Claim claim : view.claims()) {
      PartitionFlow flow = flows.get(claim.partition());
      if (flow != null && flow.held().epoch() == claim.epoch()) {
        flow.redelivered(claim.redelivered());
      }
    }
    TrunklineException end = membership.end();
    if (end != null && failure.isEmpty()) {
      failure = Optional.of(end);
      LOG.error("{}: this subscription has ended: {}", group.title(), end.getMessage());
    }
  }

  private void takeUp(Membership.View view, List<Claim> gained) {
    if (gained.isEmpty()) {
      return;
    }
    List<Integer> partitions = gained.stream().map(Claim::partition).toList();
    Map<Integer, Long> committed = committer.committed(partitions);
    for (Claim claim : gained) {
      Held held =
          new Held(
              claim.partition(),
              view.memberId(),
              claim.epoch(),
              committed.getOrDefault(claim.partition(), 0L));
      flows.take(claim, new PartitionFlow(feed, held));
    }
    LOG.debug("{}: partitions {} are this member's now", group.title(), partitions);
  }

  private PartitionFlow flow(int partition) {
    PartitionFlow flow = flows.get(partition);
    if (flow == null) {
      throw new IllegalStateException("partition is not held: " + partition);
    }
    return flow;
  }

  private boolean isIdle(int partition) {
    return flow(partition).isIdle();
  }

  private Duration commitNowAndThen() {
    List<Held> moved = flows.all().stream().map(PartitionFlow::held).filter(Held::isDirty).toList();
    if (moved.isEmpty()) {
      return UNTIL_WOKEN;
    }
    Duration left = COMMIT_EVERY.minusNanos(System.nanoTime() - committedNanos);
    if (!left.isNegative() && !left.isZero()) {
      return left;
    }
    committedNanos = System.nanoTime();
    List<Held> lost = committer.commitPresent(moved, false);
    if (!lost.isEmpty()) {
      lost.forEach(held -> flow(held.partition()).stop());
      engine.groups().lookAgain();
    }
    return COMMIT_EVERY;
  }

  private void work() {
    try {
      while (!stopping) {
        PartitionFlow flow = ready.take();
        flow.run();
        // A handler may leave its thread interrupted; the next one must not find it so.
        if (Thread.interrupted() && stopping) {
          Thread.currentThread().interrupt();
        }
        if (!stopping && ready.isEmpty() && flow.dueIn().isZero()) {
          handOut(flow);
        }
        dispatcher.wake();
      }
    } catch (InterruptedException e) {
      // Only close() interrupts.
      Thread.currentThread().interrupt();
    }
  }

  /** Stops within the configured {@code shutdownTimeout}; see {@link #close(Duration)}. */
  @Override
  public void close() {
    close(config.shutdownTimeout());
  }

  /**
   * Stops: begins no further record, lets running handlers finish, and after the timeout interrupts
   * them; commits what has been handled, and leaves the group. A static member keeps its partitions
   * for its session timeout. Idempotent. If the calling thread is interrupted, the timeout is over
   * at once, and the thread is left interrupted. Called by a handler of this subscription, it
   * returns at once, and the subscription stops when the handler has returned.
   *
   * @param timeout how long running handlers may take: zero or more
   */
  public void close(Duration timeout) {
    closing.close(timeout);
  }

  private void stopAll() {
    stopping = true;
    flows.all().forEach(PartitionFlow::stop);
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  /** What closing takes. */
  private final class Stopping implements Closing.Stoppable {
    @Override
    public void beginStop() {
      stopAll();
    }

    @Override
    public boolean stop(Duration timeout) {
      watch.close();
      dispatcher.close();
      // What the dispatcher took up in its last round.
      stopAll();
      boolean interrupted = Thread.interrupted();
      interrupted |=
          closing.awaitHandlers(
              () -> flows.all().stream().anyMatch(PartitionFlow::isRunning),
              interrupted ? Duration.ZERO : timeout);
      for (PartitionFlow flow : flows.all()) {
        if (flow.isRunning()) {
          LOG.info(
              "{}: a handler of partition {} still runs after the timeout, its record is handled again",
              group.title(),
              flow.held().partition());
        }
      }
      workers.interrupt();
      try {
        committer.commitPresent(flows.all().stream().map(PartitionFlow::held).toList(), true);
      } catch (dev.trunkline.error.DatabaseException e) {
        LOG.warn(
            "{}: what was handled last could not be committed, it is handled again",
            group.title(),
            e);
      }
      engine.groups().leave(membership);
      engine.groups().closed(closeable);
      return interrupted | Thread.interrupted();
    }
  }

  /** As the process closes it. */
  private final class Closeable implements MemberConsumer {
    @Override
    public void close() {
      Subscription.this.close();
    }

    @Override
    public boolean runsOnThisThread() {
      return workers.includeThisThread();
    }
  }
}
