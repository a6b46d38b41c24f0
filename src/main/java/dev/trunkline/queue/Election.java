package dev.trunkline.queue;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.event.ActiveConsumer;
import dev.trunkline.internal.loop.Loop;
import dev.trunkline.internal.loop.Step;
import java.time.Duration;
import java.util.OptionalLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One consumer's part in who is the active one of its queue: stands, takes over when the place is
 * free, steps down for a higher priority once it holds nothing, withdraws when it closes.
 * Thread-safe.
 */
final class Election implements Step, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Election.class);
  private static final Duration WHILE_STEPPING_DOWN = Duration.ofMillis(20);

  private final Engine engine;
  private final QueueRow queue;
  private final int takeoverPriority;
  private final Runnable activated;
  private final Loop loop;
  private final Signals.Subscription vacancies;
  private long candidateId;
  private long consumerId;
  private volatile long epoch;
  private volatile boolean outranked;

  /**
   * @param activated called when this consumer has become the active one; quick
   */
  Election(Engine engine, QueueRow queue, int takeoverPriority, Runnable activated) {
    this.engine = engine;
    this.queue = queue;
    this.takeoverPriority = takeoverPriority;
    this.activated = activated;
    this.loop = new Loop(queue.name() + "-election", this);
    this.vacancies = engine.flowWatch().onVacancy(queue.id(), loop::wake);
  }

  Election start() {
    loop.start();
    return this;
  }

  /** Under which claims may be made; 0 if none may. */
  long epoch() {
    return outranked ? 0 : epoch;
  }

  /** Whether this is the active consumer, as far as is known here. */
  boolean isActive() {
    return epoch != 0;
  }

  @Override
  public Duration runOnce() {
    if (candidateId == 0 || consumerId != engine.consumer().id()) {
      return stand() ? Duration.ZERO : engine.pollInterval();
    }
    ElectionStore.Standing standing =
        engine.database().run(session -> ElectionStore.look(session, queue.id(), candidateId));
    if (!standing.lives()) {
      candidateId = 0;
      isOver();
      return engine.pollInterval();
    }
    if (standing.mine()) {
      won(standing.epoch());
      if (outranked && !standing.outranked()) {
        // The other one has gone away again.
        outranked = false;
        activated.run();
      }
      outranked = standing.outranked();
      return outranked ? stepDown() : engine.pollInterval();
    }
    isOver();
    if (standing.epoch() == 0 && standing.next()) {
      OptionalLong won =
          engine
              .database()
              .inTransaction(session -> ElectionStore.takeOver(session, queue.id(), candidateId));
      won.ifPresent(this::won);
      return won.isPresent() ? engine.pollInterval() : WHILE_STEPPING_DOWN;
    }
    return engine.pollInterval();
  }

  /** Answers whether it could: a process that was declared dead has to register again first. */
  private boolean stand() {
    isOver();
    candidateId = 0;
    consumerId = engine.consumer().id();
    OptionalLong stood =
        engine
            .database()
            .run(session -> ElectionStore.stand(session, queue.id(), consumerId, takeoverPriority));
    if (stood.isEmpty()) {
      return false;
    }
    candidateId = stood.getAsLong();
    // A higher priority is news for the one that is active.
    engine.vacant(queue.id());
    return true;
  }

  /** Nothing more is claimed; when all is settled the place is free. */
  private Duration stepDown() {
    boolean down =
        engine
            .database()
            .inTransaction(session -> ElectionStore.stepDown(session, queue.id(), candidateId));
    if (!down) {
      return WHILE_STEPPING_DOWN;
    }
    LOG.info("{}: a consumer with a higher priority takes over", queue.name());
    candidateId = 0;
    isOver();
    engine.vacant(queue.id());
    return WHILE_STEPPING_DOWN;
  }

  private void won(long won) {
    if (epoch == won) {
      return;
    }
    epoch = won;
    outranked = false;
    LOG.info("{}: this consumer is the active one now, epoch {}", queue.name(), won);
    tell(true, won);
    activated.run();
  }

  private void isOver() {
    long before = epoch;
    epoch = 0;
    outranked = false;
    if (before != 0) {
      LOG.info("{}: this consumer is no longer the active one", queue.name());
      tell(false, before);
    }
  }

  private void tell(boolean active, long of) {
    ActiveConsumer event = new ActiveConsumer(queue.name(), active, of);
    engine.flowWatch().tell(queue.name(), listener -> listener.activeConsumer(event));
  }

  /** Frees the place. If the database cannot be reached, the missing heartbeats free it. */
  @Override
  public void close() {
    vacancies.close();
    loop.close();
    isOver();
    if (candidateId == 0) {
      return;
    }
    try {
      engine
          .database()
          .run(
              session -> {
                ElectionStore.withdraw(session, candidateId);
                return true;
              });
      engine.vacant(queue.id());
    } catch (DatabaseException e) {
      LOG.warn("{}: this consumer could not withdraw: {}", queue.name(), e.getMessage());
    }
  }
}
