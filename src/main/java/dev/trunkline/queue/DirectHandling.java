package dev.trunkline.queue;

import java.util.List;
import java.util.Optional;

/** The handler is called, and what it says is carried out afterwards: at least once. */
final class DirectHandling implements Handling {
  private final Handler handler;

  DirectHandling(Handler handler) {
    this.handler = handler;
  }

  @Override
  public List<Delivery> claimed(List<Delivery> deliveries) {
    return deliveries;
  }

  @Override
  public Optional<Verdict> handle(Delivery delivery) throws Exception {
    return Optional.of(Verdict.of(Handling.said(handler.handle(delivery))));
  }

  @Override
  public void abandon() {
    // Its messages are given back, whether the handler ends or not.
  }
}
