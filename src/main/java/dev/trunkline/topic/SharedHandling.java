package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.message.Outcome;
import java.util.List;
import java.util.Optional;

/** How a consumer has its deliveries handled: what is done around the call of the handler. */
interface SharedHandling {
  /** Makes deliveries that have just been claimed ready for it. Answers those that are held. */
  List<SharedDelivery> claimed(List<SharedDelivery> deliveries);

  /**
   * Handles one delivery.
   *
   * @return what is still to be done about it; empty if it has been settled, or is lost
   * @throws Exception what the handler threw
   */
  Optional<Verdict> handle(SharedDelivery delivery) throws Exception;

  /** The time for running handlers is over: they have been interrupted. */
  void abandon();

  /** The handler is called, and what it says is carried out afterwards: at least once. */
  static SharedHandling direct(SharedHandler handler) {
    requireNonNull(handler, "handler");
    return new SharedHandling() {
      @Override
      public List<SharedDelivery> claimed(List<SharedDelivery> deliveries) {
        return deliveries;
      }

      @Override
      public Optional<Verdict> handle(SharedDelivery delivery) throws Exception {
        return Optional.of(Verdict.of(said(handler.handle(delivery))));
      }

      @Override
      public void abandon() {
        // Its records are given back, whether the handler ends or not.
      }
    };
  }

  /** What a handler has to say. */
  static Outcome said(Outcome outcome) {
    if (outcome == null) {
      throw new IllegalStateException("the handler returned null instead of an outcome");
    }
    return outcome;
  }
}
