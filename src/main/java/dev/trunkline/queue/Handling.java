package dev.trunkline.queue;

import dev.trunkline.message.Outcome;
import java.util.List;
import java.util.Optional;

/** How a consumer has its deliveries handled: what is done around the call of the handler. */
interface Handling {
  /** Makes deliveries that have just been claimed ready for it. Answers those that are held. */
  List<Delivery> claimed(List<Delivery> deliveries);

  /**
   * Handles one delivery.
   *
   * @return what is still to be done about it; empty if it has been settled, or is lost
   * @throws Exception what the handler threw
   */
  Optional<Verdict> handle(Delivery delivery) throws Exception;

  /**
   * Whether what waits for a handler is still handled when the consumer stops, as long as there is
   * time: because it cannot be given back.
   */
  default boolean finishesWhatWaits() {
    return false;
  }

  /** The time for running handlers is over: they have been interrupted. */
  void abandon();

  /** What a handler has to say. */
  static Outcome said(Outcome outcome) {
    if (outcome == null) {
      throw new IllegalStateException("the handler returned null instead of an outcome");
    }
    return outcome;
  }
}
