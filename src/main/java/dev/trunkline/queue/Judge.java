package dev.trunkline.queue;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.PayloadUnreadableException;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Decides what an exception out of a handler means for the message. Thread-safe. */
final class Judge {
  private static final Logger LOG = LoggerFactory.getLogger(Judge.class);

  private final String queue;
  private final ConsumerConfig config;
  private final BooleanSupplier stopping;

  Judge(String queue, ConsumerConfig config, BooleanSupplier stopping) {
    this.queue = queue;
    this.config = config;
    this.stopping = stopping;
  }

  /** Calls no method of the exception but through DeathError: some of them throw again. */
  Verdict verdictOn(Delivery delivery, Throwable failure) {
    if (stopping.getAsBoolean() && failure instanceof InterruptedException) {
      return new Verdict.Released(Duration.ZERO);
    }
    DeathError error = DeathError.of(failure);
    if (failure instanceof PayloadUnreadableException) {
      LOG.warn("{}: {} cannot be read, it is dead: {}", queue, delivery, error.message());
      return new Verdict.Dead(DeathReason.UNREADABLE, null, error);
    }
    if (config.isNonRetryable(failure)) {
      LOG.warn("{}: {} is not tried again, it is dead: {}", queue, delivery, error.stack());
      return new Verdict.Dead(DeathReason.NON_RETRYABLE, null, error);
    }
    LOG.info("{}: {} failed: {}: {}", queue, delivery, error.className(), error.message());
    return new Verdict.Failed(Optional.empty(), error, DeathReason.DELIVERY_LIMIT);
  }
}
