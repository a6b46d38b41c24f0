package dev.trunkline.queue;

import dev.trunkline.deadletter.DeathError;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The claim has deleted the messages: each is handled once, or is lost. Thread-safe. */
final class AtMostOnceHandling implements Handling {
  private static final Logger LOG = LoggerFactory.getLogger(AtMostOnceHandling.class);

  private final AtMostOnceHandler handler;

  AtMostOnceHandling(AtMostOnceHandler handler) {
    this.handler = handler;
  }

  @Override
  public List<Delivery> claimed(List<Delivery> deliveries) {
    return deliveries;
  }

  @Override
  public Optional<Verdict> handle(Delivery delivery) {
    try {
      handler.handle(ReceivedMessage.of(delivery));
    } catch (Throwable e) {
      // Through DeathError: some exceptions throw again.
      DeathError error = DeathError.of(e);
      LOG.warn(
          "{}: {} failed, and is lost: {}: {}",
          delivery.queue(),
          delivery,
          error.className(),
          error.message());
    }
    return Optional.empty();
  }

  @Override
  public boolean finishesWhatWaits() {
    return true;
  }

  @Override
  public void abandon() {
    // What has not been handled by now is lost.
  }
}
