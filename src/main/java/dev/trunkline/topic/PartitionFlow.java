package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.PayloadUnreadableException;
import dev.trunkline.internal.loop.IdleBackoff;
import dev.trunkline.retry.FailurePolicy;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The records of one partition on their way to the handler, in order, for as long as a subscription
 * holds it. The dispatcher enqueues it when it is due, one worker at a time runs it.
 *
 * <pre>
 *   IDLE --enqueue--> QUEUED --run--> RUNNING --page done, failed, or told to stop--> IDLE
 * </pre>
 */
final class PartitionFlow {
  private static final Logger LOG = LoggerFactory.getLogger(PartitionFlow.class);
  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);
  private static final Duration NEVER = Duration.ofHours(1);

  private final Feed feed;
  private final Held held;
  private final FailureDesk failures;
  private final Transactions transactions;
  private final PartitionPages pages;
  private final IdleBackoff trouble = new IdleBackoff(FIRST_PAUSE, LONGEST_PAUSE);
  private final AtomicReference<State> state = new AtomicReference<>(State.IDLE);
  private volatile boolean stopped;
  private volatile boolean redelivered = true;
  private volatile long dueNanos = System.nanoTime();
  private boolean troubled;

  private enum State {
    IDLE,
    QUEUED,
    RUNNING
  }

  /** What all partitions of a subscription are fed by. */
  record Feed(
      TopicEngine engine,
      TopicRow topic,
      GroupRow group,
      MemberConfig config,
      Handling handling,
      Membership membership,
      Committer committer) {}

  PartitionFlow(Feed feed, Held held) {
    this.feed = feed;
    this.held = held;
    this.failures = new FailureDesk(feed.engine().database(), feed.group(), held);
    this.pages = new PartitionPages(feed, held);
    this.transactions = new Transactions(feed.engine().database(), feed.group(), held);
  }

  Held held() {
    return held;
  }

  /** Zero if there may be something to do now. */
  Duration dueIn() {
    if (stopped || held.isPaused() || state.get() != State.IDLE) {
      return NEVER;
    }
    long left = dueNanos - System.nanoTime();
    if (left > 0) {
      return Duration.ofNanos(left);
    }
    return redelivered || pages.mayHaveMore() ? Duration.ZERO : NEVER;
  }

  /** Whether the caller is to give it to a worker. */
  boolean enqueue() {
    return state.compareAndSet(State.IDLE, State.QUEUED);
  }

  /** Begins no further record. Answers whether it was not told so before. */
  boolean stop() {
    boolean before = stopped;
    stopped = true;
    return !before;
  }

  boolean isIdle() {
    // One that waits for a worker will find that it was stopped; nothing is in hand.
    return state.get() == State.IDLE || (stopped && state.compareAndSet(State.QUEUED, State.IDLE));
  }

  boolean isRunning() {
    return state.get() == State.RUNNING;
  }

  /** Whether dead letters of the partition are on their way back. */
  void redelivered(boolean any) {
    if (any) {
      redelivered = true;
    }
  }

  /** Handles a page at most. By a worker, after it was enqueued. */
  void run() {
    if (!state.compareAndSet(State.QUEUED, State.RUNNING)) {
      return;
    }
    try {
      if (mayGoOn()) {
        failures.load();
        transactions.answer().ifPresent(this::committedAfterAll);
        if (comeBack()) {
          goOn();
        }
      }
      if (troubled) {
        troubled = false;
        trouble.reset();
        LOG.info("{}: partition {} works again", feed.group().title(), held.partition());
      }
    } catch (RuntimeException | Error e) {
      pauseAfter(e);
    } finally {
      state.set(State.IDLE);
    }
  }

  private boolean mayGoOn() {
    return !stopped && !held.isPaused() && feed.membership().isFresh();
  }

  private void committedAfterAll(long position) {
    pages.passUpTo(position);
    held.committed(position);
    held.moveTo(position);
  }

  /**
   * What came back from the dead letters goes before newer records. Answers whether all is done.
   */
  private boolean comeBack() {
    while (redelivered) {
      redelivered = false;
      List<Redelivery> back = failures.redeliveries();
      for (Redelivery redelivery : back) {
        redelivered = true;
        if (!mayGoOn() || !deliver(List.of(redelivery.record()), -1, redelivery)) {
          return false;
        }
      }
    }
    return true;
  }

  private void goOn() {
    long position = pages.fill();
    if (position != held.position()) {
      moveTo(position);
    }
    while (pages.hasNext()) {
      List<TopicRecord> records = pages.chunk(failures);
      if (!mayGoOn() || !deliver(records, pages.positionAfter(records.size()), null)) {
        return;
      }
      pages.pass(records.size());
    }
  }

  /** Past offsets without records. */
  private void moveTo(long offset) {
    held.moveTo(offset);
    if (feed.handling().transactional()
        && held.isDirty()
        && !feed.committer().commit(Committer.steps(List.of(held)), false).isEmpty()) {
      lost();
    }
  }

  /**
   * Handles records, and takes the group past them.
   *
   * @param position the offset to go on from, or -1 for what came back
   * @return whether to go on; if not, it is due later, or not at all
   */
  private boolean deliver(
      List<TopicRecord> records, long position, @Nullable Redelivery redelivery) {
    TopicRecord first = records.get(0);
    if (failures.isParked(first)) {
      return buried(() -> failures.buryAlong(first, position, redelivery), position);
    }
    try {
      if (feed.handling().transactional()) {
        if (!committed(records, position, redelivery)) {
          return lost();
        }
      } else {
        call(records);
        if (redelivery != null && !failures.finish(redelivery)) {
          return lost();
        }
      }
      if (position >= 0) {
        held.moveTo(position);
      }
      failures.passed(records);
      return true;
    } catch (HandlerFailure e) {
      return failed(records, position, redelivery, e.thrown());
    }
  }

  private boolean committed(
      List<TopicRecord> records, long position, @Nullable Redelivery redelivery) {
    held.committing().lock();
    try {
      Transactions.End end =
          transactions.run(records, position, redelivery, feed.handling().call());
      if (end == Transactions.End.COMMITTED && position >= 0) {
        held.committed(position);
        held.moveTo(position);
      }
      return end == Transactions.End.COMMITTED;
    } finally {
      held.committing().unlock();
    }
  }

  private void call(List<TopicRecord> records) {
    try {
      feed.handling().call().handle(records, null);
    } catch (Throwable e) {
      throw new HandlerFailure(e);
    }
  }

  private boolean failed(
      List<TopicRecord> records,
      long position,
      @Nullable Redelivery redelivery,
      Throwable failure) {
    if (stopped && failure instanceof InterruptedException) {
      return false;
    }
    TopicRecord first = records.get(0);
    DeathError error = DeathError.of(failure);
    if (records.size() > 1) {
      LOG.info(
          "{}: a batch of {} records from {} on failed, they come one by one: {}: {}",
          feed.group().title(),
          records.size(),
          first,
          error.className(),
          error.message());
      pages.oneByOneUntil(position);
      return false;
    }
    int attempts = failures.count(first, error);
    if (attempts == FailureDesk.NOT_MINE) {
      return lost();
    }
    Optional<DeathReason> death = deathAfter(attempts, failure);
    if (death.isPresent()) {
      LOG.warn(
          "{}: {} is given up after {} attempts: {}",
          feed.group().title(),
          first,
          attempts,
          error.stack());
      return buried(() -> failures.bury(first, death.get(), error, position, redelivery), position);
    }
    Duration delay =
        feed.group()
            .agreed()
            .retryPolicy()
            .delayAfter(attempts, ThreadLocalRandom.current()::nextDouble);
    LOG.info(
        "{}: {} failed, attempt {}, next one in {}: {}: {}",
        feed.group().title(),
        first,
        attempts,
        delay,
        error.className(),
        error.message());
    dueNanos = System.nanoTime() + delay.toNanos();
    return false;
  }

  private Optional<DeathReason> deathAfter(int attempts, Throwable failure) {
    if (feed.group().agreed().failurePolicy() == FailurePolicy.BLOCK) {
      return Optional.empty();
    }
    if (failure instanceof PayloadUnreadableException) {
      return Optional.of(DeathReason.UNREADABLE);
    }
    if (feed.config().isNonRetryable(failure)) {
      return Optional.of(DeathReason.NON_RETRYABLE);
    }
    return feed.group().agreed().retryPolicy().isExhaustedBy(attempts)
        ? Optional.of(DeathReason.DELIVERY_LIMIT)
        : Optional.empty();
  }

  private boolean buried(Supplier<FailureDesk.Settled> burial, long position) {
    held.committing().lock();
    try {
      return switch (burial.get()) {
        case DONE -> {
          if (position >= 0) {
            held.committed(position);
            held.moveTo(position);
          }
          yield true;
        }
        case RELEASED -> {
          // Its key's earlier records are on their way back, and go first.
          redelivered = true;
          yield false;
        }
        case LOST -> lost();
      };
    } finally {
      held.committing().unlock();
    }
  }

  private boolean lost() {
    stopped = true;
    feed.engine().groups().lookAgain();
    return false;
  }

  /** Nothing the handler did: the same again, later. */
  private void pauseAfter(Throwable e) {
    if (!troubled) {
      troubled = true;
      LOG.warn(
          "{}: partition {} is tried again until it works",
          feed.group().title(),
          held.partition(),
          e);
    }
    dueNanos = System.nanoTime() + trouble.next().toNanos();
  }
}
