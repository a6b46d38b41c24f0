package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.PayloadUnreadableException;
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
 * Handlers at work for a shared group, from {@link SharedGroup#consume} until it is closed.
 * Thread-safe.
 *
 * <p>One thread fetches as much as there is room for, the workers handle, one thread settles what
 * they decided, one renews the leases of what takes long.
 */
public final class SharedConsumer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(SharedConsumer.class);
  private static final Duration FIRST_WAIT = Duration.ofMillis(5);
  private static final Duration LAST_WAIT = Duration.ofMillis(640);

  /** When others have what there is: a claim has it locked for a moment. */
  private static final Duration SOON = Duration.ofMillis(3);

  /** With nothing to do the pulse wakes the fetcher, and so does the end of the log. */
  private static final Duration UNTIL_WOKEN = Duration.ofHours(1);

  private static final Duration SETTLE_ON_CLOSE = Duration.ofSeconds(10);

  private final SharedGroup group;
  private final String title;
  private final SharedConsumerConfig config;
  private final SharedHandling handling;
  private final SharedMember member;
  private final SharedClaimer claimer;
  private final Prefetched<SharedDelivery> prefetched;
  private final SettleBuffer<SharedSettlement> settleBuffer;
  private final Renewals renewals;
  private final Workers workers;
  private final Loop fetcher;
  private final IdleBackoff idle = new IdleBackoff(FIRST_WAIT, LAST_WAIT);
  private final Closing closing;
  private final Tail.Watch grown;
  private final SharedMember.Watch due;
  private volatile boolean stopping;
  private volatile boolean expecting;

  SharedConsumer(
      SharedGroup group,
      SharedConsumerConfig config,
      SharedHandling handling,
      SharedMember member,
      SharedSettler settler,
      SharedClaimer claimer) {
    this.group = group;
    this.title = member.group().title();
    this.config = config;
    this.handling = handling;
    this.member = member;
    this.claimer = claimer;
    this.prefetched =
        new Prefetched<>(
            config.concurrency(),
            config.prefetch(),
            config.prefetchBytes(),
            SharedDelivery::bytes,
            System::nanoTime);
    this.settleBuffer = new SettleBuffer<>(title, some -> settler.settle(some).size());
    this.renewals = new Renewals(title, settler::renew, config.maxLeaseTime());
    this.workers = new Workers(title, config.concurrency(), false, this::work);
    this.closing = new Closing(title, workers, new Stopping());
    this.fetcher = new Loop(title + "-fetcher", this::fetch);
    this.grown = group.tail().watch(this::wake);
    this.due = member.watch(this::wake);
  }

  SharedConsumer start() {
    settleBuffer.start();
    renewals.start();
    workers.start();
    fetcher.start();
    return this;
  }

  /** The name of the group. */
  public String group() {
    return group.name();
  }

  /** Whether the calling thread is one that runs this consumer's handler. */
  boolean runsOnThisThread() {
    return workers.includeThisThread();
  }

  /** Whether {@link #close} has been called. */
  public boolean isClosed() {
    return stopping;
  }

  private void wake() {
    expecting = true;
    fetcher.wake();
  }

  private Duration fetch() {
    if (stopping || member.end() != null) {
      return UNTIL_WOKEN;
    }
    if (member.isPaused()) {
      giveBackWaiting();
      return UNTIL_WOKEN;
    }
    if (expecting) {
      expecting = false;
      idle.reset();
    }
    Prefetched.Room room = prefetched.room();
    if (room.messages() == 0) {
      return UNTIL_WOKEN;
    }
    SharedClaimer.Claim claim =
        claimer.claim(
            Math.min(room.messages(), SharedClaimer.MAX_RECORDS),
            room.bytes(),
            Optional.empty(),
            false);
    List<SharedDelivery> deliveries = handling.claimed(claim.deliveries());
    if (claim.deliveries().isEmpty()) {
      Duration wait = claim.busy() ? SOON : idle.isIdle() ? UNTIL_WOKEN : idle.next();
      return shorter(wait, member.untilDue());
    }
    idle.reset();
    deliveries.stream()
        .map(SharedDelivery::lease)
        .distinct()
        .forEach(lease -> lease.renewBy(renewals));
    prefetched.add(deliveries);
    return Duration.ZERO;
  }

  private void work() {
    try {
      while (!stopping) {
        SharedDelivery delivery = prefetched.take();
        try {
          if (stopping || member.isPaused()) {
            settle(delivery, new Verdict.Released(Duration.ZERO));
          } else {
            handle(delivery);
          }
        } finally {
          prefetched.handled(delivery);
          fetcher.wake();
        }
      }
    } catch (InterruptedException e) {
      // Only close() interrupts, and it gives back what is left.
      Thread.currentThread().interrupt();
    }
  }

  private void handle(SharedDelivery delivery) {
    if (delivery.lease().isLost()) {
      // Somebody else has it, or will: starting it would only be done twice.
      return;
    }
    try {
      handling.handle(delivery).ifPresent(verdict -> settle(delivery, verdict));
    } catch (Throwable e) {
      settle(delivery, verdictOn(delivery, e));
    }
    // A handler may leave its thread interrupted; the next one must not find it so. A stop has its
    // own flag.
    if (Thread.interrupted() && stopping) {
      Thread.currentThread().interrupt();
    }
  }

  /** Calls no method of the exception but through DeathError: some of them throw again. */
  private Verdict verdictOn(SharedDelivery delivery, Throwable failure) {
    if (stopping && failure instanceof InterruptedException) {
      return new Verdict.Released(Duration.ZERO);
    }
    DeathError error = DeathError.of(failure);
    if (failure instanceof PayloadUnreadableException) {
      LOG.warn("{}: {} cannot be read, it is dead: {}", title, delivery, error.message());
      return new Verdict.Dead(DeathReason.UNREADABLE, null, error);
    }
    if (config.isNonRetryable(failure)) {
      LOG.warn("{}: {} is not tried again, it is dead: {}", title, delivery, error.stack());
      return new Verdict.Dead(DeathReason.NON_RETRYABLE, null, error);
    }
    LOG.info("{}: {} failed: {}: {}", title, delivery, error.className(), error.message());
    return new Verdict.Failed(Optional.empty(), error, DeathReason.DELIVERY_LIMIT);
  }

  private void settle(SharedDelivery delivery, Verdict verdict) {
    if (delivery.settling().begin()) {
      settleBuffer.add(new SharedSettlement(delivery, verdict));
    }
  }

  /** Stops within the configured {@code shutdownTimeout}; see {@link #close(Duration)}. */
  @Override
  public void close() {
    close(config.shutdownTimeout());
  }

  /**
   * Stops: claims nothing more, gives back what waits for a handler, lets running handlers finish,
   * and after the timeout interrupts them and gives their records back. What is given back has
   * burnt no attempt. Idempotent. If the calling thread is interrupted, the timeout is over at
   * once, and the thread is left interrupted. Called by a handler of this consumer, it returns at
   * once, and the consumer stops when the handler has returned.
   *
   * @param timeout how long running handlers may take: zero or more
   */
  public void close(Duration timeout) {
    closing.close(timeout);
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  private void giveBackWaiting() {
    for (SharedDelivery delivery : prefetched.drain()) {
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
      grown.close();
      due.close();
      fetcher.close();
      boolean interrupted = Thread.interrupted();
      giveBackWaiting();
      interrupted |=
          closing.awaitHandlers(() -> !prefetched.isEmpty(), interrupted ? Duration.ZERO : timeout);
      giveBackWaiting();
      for (SharedDelivery delivery : prefetched.unfinished()) {
        LOG.info("{}: {} still runs after the timeout, it is given back", title, delivery);
        settle(delivery, new Verdict.Released(Duration.ZERO));
      }
      workers.interrupt();
      handling.abandon();
      try {
        if (!settleBuffer.awaitEmpty(SETTLE_ON_CLOSE)) {
          LOG.warn("{}: what was handled last could not be settled, it is redelivered", title);
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
      settleBuffer.close();
      renewals.close();
      group.forget(SharedConsumer.this);
      return interrupted | Thread.interrupted();
    }
  }
}
