package dev.trunkline.queue;

import dev.trunkline.message.Outcome;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** The contract, by {@link Queue#consume} with one handler at a time. */
abstract class PushContract extends QueueContract {
  @Override
  final void handle(int times, Function<Delivery, Outcome> handler) {
    AtomicInteger handled = new AtomicInteger();
    consumeUntil(
        handlers(1),
        delivery -> {
          Outcome outcome = handler.apply(delivery);
          handled.incrementAndGet();
          return outcome;
        },
        () -> handled.get() == times && queue.stats().inFlight() == 0);
  }
}
