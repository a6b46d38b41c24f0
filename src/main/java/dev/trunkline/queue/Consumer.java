package dev.trunkline.queue;

import dev.trunkline.internal.loop.IdleBackoff;
import dev.trunkline.internal.loop.Loop;
import dev.trunkline.internal.loop.Workers;
import dev.trunkline.internal.work.Closing;
import dev.trunkline.internal.work.Prefetched;
import dev.trunkline.internal.work.Renewals;
import dev.trunkline.internal.work.SettleBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Handlers at work on a queue, from {@link Queue#consume} until it is closed. Thread-safe.
 *
 * <p>One thread fetches as much as there is room for, the workers handle, one thread settles what
 * they decided, one renews the leases of what takes long.
 */
public final class Consumer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Consumer.class);
  private static final Duration FIRST_WAIT = Duration.ofMillis(5);
  private static final Duration LAST_WAIT = Duration.ofMillis(640);

  /**
   * With nothing to do the pulse looks, for all queues of the process in one statement, and wakes
   * the fetcher.
   */
  private static final Duration UNTIL_WOKEN = Duration.ofHours(1);

  private static final Duration SETTLE_ON_CLOSE = Duration.ofSeconds(10);

  private final String queue;
  private final int queueId;
  private final ConsumerConfig config;
  private final Handling handling;
  private final Judge judge;
  private final Engine engine;
  private final Claimer claimer;
  private final Prefetched<Delivery> prefetched;
  private final SettleBuffer<Settlement> settleBuffer;
  private final Renewals renewals;
  private final KeyOrder keyOrder = new KeyOrder();
  private final Workers workers;
  private final Loop fetcher;
  private final IdleBackoff idle = new IdleBackoff(FIRST_WAIT, LAST_WAIT);
  private final Closing closing;
  private final Signals.Subscription subscription;
  private final Optional<Election> election;
  private volatile boolean stopping;
  private volatile boolean timeIsUp;
  private volatile boolean expecting;
  private volatile boolean paused;

  Consumer(Engine engine, QueueRow row, ConsumerConfig config, Claimer claimer, Handling handling) {
    this.queue = row.name();
    this.queueId = row.id();
    this.config = config;
    this.handling = handling;
    this.judge = new Judge(queue, config, () -> stopping);
    this.engine = engine;
    this.claimer = claimer;
    this.prefetched =
        new Prefetched<>(
            config.concurrency(),
            config.prefetch(),
            config.prefetchBytes(),
            Delivery::bytes,
            System::nanoTime);
    this.settleBuffer = new SettleBuffer<>(queue, some -> engine.settler().settle(some).size());
    this.renewals = new Renewals(queue, engine.settler()::renew, config.maxLeaseTime());
    this.workers = new Workers(queue, config.concurrency(), config.virtualThreads(), this::work);
    this.closing = new Closing(queue, workers, new Stopping());
    this.fetcher = new Loop(queue + "-fetcher", this::fetch);
    this.subscription = engine.signals().subscribe(row.id(), this::wake);
    this.election =
        row.config().flowRules().singleActiveConsumer()
            ? Optional.of(new Election(engine, row, config.takeoverPriority(), this::wake))
            : Optional.empty();
    election.ifPresent(claimer::electedBy);
  }

  Consumer start() {
    settleBuffer.start();
    renewals.start();
    workers.start();
    fetcher.start();
    election.ifPresent(Election::start);
    return this;
  }

  /** The name of the queue. */
  public String queue() {
    return queue;
  }

  /** Whether the calling thread is one that runs this consumer's handler. */
  boolean runsOnThisThread() {
    return workers.includeThisThread();
  }

  /** Whether {@link #close} has been called. */
  public boolean isClosed() {
    return stopping;
  }

  /**
   * Whether this is the consumer that its queue is for at this moment, as far as is known here.
   * Always true, until it is closed, on a queue that is not for a single active consumer.
   */
  public boolean isActive() {
    return election.map(Election::isActive).orElse(!stopping);
  }

  /**
   * Pauses this consumer until {@link #resume}; others go on. It claims nothing more, and gives
   * back, uncounted, what waits for a handler; handlers that run finish, and one that is just being
   * called may still be. Where a claim deletes, what is claimed is still handled. The active
   * consumer of a queue stays the active one. Idempotent.
   */
  public void pause() {
    paused = true;
    if (!handling.finishesWhatWaits()) {
      giveBackWaiting();
    }
  }

  /** Goes on after {@link #pause}. */
  public void resume() {
    paused = false;
    wake();
  }

  /** Whether it is paused. */
  public boolean isPaused() {
    return paused;
  }

  private void wake() {
    expecting = true;
    fetcher.wake();
  }

  private Duration fetch() {
    if (stopping || paused) {
      return UNTIL_WOKEN;
    }
    if (expecting || engine.signals().isExpected(queueId)) {
      expecting = false;
      idle.reset();
    }
    Prefetched.Room room = prefetched.room();
    if (room.messages() == 0) {
      return UNTIL_WOKEN;
    }
    Duration wait = claimer.gathering().left();
    if (!wait.isNegative() && !wait.isZero()) {
      return wait;
    }
    Claimer.Claim claim =
        claimer.claim(
            Math.min(room.messages(), Claimer.MAX_MESSAGES),
            room.bytes(),
            config.visibilityTimeout());
    List<Delivery> deliveries = handling.claimed(claim.deliveries());
    if (deliveries.isEmpty() && !claim.heldFor().isZero()) {
      return claim.heldFor();
    }
    if (deliveries.isEmpty() && claim.exhausted()) {
      return idle.isIdle() ? UNTIL_WOKEN : idle.next();
    }
    idle.reset();
    deliveries.stream()
        .map(Delivery::lease)
        .filter(lease -> !lease.isOver())
        .distinct()
        .forEach(lease -> lease.renewBy(renewals));
    keyOrder.claimed(deliveries);
    prefetched.add(deliveries);
    if (paused && !handling.finishesWhatWaits()) {
      giveBackWaiting();
    }
    if (!claim.heldFor().isZero()) {
      return claim.heldFor();
    }
    return claim.exhausted() ? idle.next() : Duration.ZERO;
  }

  private void work() {
    try {
      while (!isOver()) {
        Optional<Delivery> next = keyOrder.takenUp(prefetched.take());
        while (next.isPresent()) {
          handleIfWanted(next.get());
          next = keyOrder.next(next.get());
        }
      }
    } catch (InterruptedException e) {
      // Only close() interrupts, and it gives back what is left.
      Thread.currentThread().interrupt();
    }
  }

  private void handleIfWanted(Delivery delivery) {
    try {
      if (isOver() || (paused && !handling.finishesWhatWaits()) || delivery.lease().isBroken()) {
        settle(delivery, new Verdict.Released(Duration.ZERO));
      } else {
        handle(delivery);
      }
    } finally {
      prefetched.handled(delivery);
      fetcher.wake();
    }
  }

  /** Whether no handler is called any more. */
  private boolean isOver() {
    return timeIsUp || (stopping && !handling.finishesWhatWaits());
  }

  private void handle(Delivery delivery) {
    if (delivery.lease().isLost()) {
      // Somebody else has it, or will: starting it would only be done twice.
      return;
    }
    if (delivery.isExpired()) {
      settle(delivery, new Verdict.Expired());
      return;
    }
    try {
      handling.handle(delivery).ifPresent(verdict -> settle(delivery, verdict));
    } catch (Throwable e) {
      settle(delivery, judge.verdictOn(delivery, e));
    }
    // A handler may leave its thread interrupted; the next one must not find it so. A stop has its
    // own flag.
    if (Thread.interrupted() && stopping) {
      Thread.currentThread().interrupt();
    }
  }

  private void settle(Delivery delivery, Verdict verdict) {
    delivery.breaksOffBy(verdict);
    if (delivery.settling().begin()) {
      settleBuffer.add(new Settlement(delivery, verdict));
    }
  }

  /** Stops within the configured {@code shutdownTimeout}; see {@link #close(Duration)}. */
  @Override
  public void close() {
    close(config.shutdownTimeout());
  }

  /**
   * Stops: claims nothing more, gives back what waits for a handler, lets running handlers finish,
   * and after the timeout interrupts them and gives their messages back. What is given back has
   * burnt no attempt. Idempotent. If the calling thread is interrupted, the timeout is over at
   * once, and the thread is left interrupted. Called by a handler of this consumer, it returns at
   * once, and the consumer stops when the handler has returned.
   *
   * @param timeout how long running handlers may take: zero or more
   */
  public void close(Duration timeout) {
    closing.close(timeout);
  }

  private void giveBackWaiting() {
    for (Delivery delivery : prefetched.drain()) {
      if (!keyOrder.withdraw(delivery)) {
        continue;
      }
      if (delivery.settling().hasBegun()) {
        LOG.warn("{}: {} was deleted when it was claimed, and is lost", queue, delivery);
      }
      settle(delivery, new Verdict.Released(Duration.ZERO));
      prefetched.givenBack(delivery);
    }
  }

  /** What closing takes. */
  private final class Stopping implements Closing.Stoppable {
    @Override
    public void beginStop() {
      stopping = true;
    }

    @Override
    public boolean stop(Duration timeout) {
      subscription.close();
      fetcher.close();
      boolean interrupted = Thread.interrupted();
      if (!handling.finishesWhatWaits()) {
        giveBackWaiting();
      }
      interrupted |=
          closing.awaitHandlers(() -> !prefetched.isEmpty(), interrupted ? Duration.ZERO : timeout);
      timeIsUp = true;
      giveBackWaiting();
      for (Delivery delivery : prefetched.unfinished()) {
        LOG.info("{}: {} still runs after the timeout", queue, delivery);
        settle(delivery, new Verdict.Released(Duration.ZERO));
      }
      workers.interrupt();
      handling.abandon();
      try {
        if (!settleBuffer.awaitEmpty(SETTLE_ON_CLOSE)) {
          LOG.warn("{}: what was handled last could not be settled, it is redelivered", queue);
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
      settleBuffer.close();
      renewals.close();
      interrupted |= Thread.interrupted();
      election.ifPresent(Election::close);
      engine.forget(Consumer.this);
      return interrupted | Thread.interrupted();
    }
  }
}
