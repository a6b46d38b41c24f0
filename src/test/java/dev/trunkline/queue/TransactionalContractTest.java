package dev.trunkline.queue;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** All at once; received by {@link Queue#consumeTransactionally} with one handler at a time. */
class TransactionalContractTest extends QueueContract {
  @Override
  List<MessageId> send(List<Message> messages) {
    return queue.sendAll(messages);
  }

  @Override
  void handle(int times, Function<Delivery, Outcome> handler) {
    AtomicInteger handled = new AtomicInteger();
    try (Consumer consumer =
        queue.consumeTransactionally(
            handlers(1),
            (delivery, connection) -> {
              Outcome outcome = handler.apply(delivery);
              handled.incrementAndGet();
              return outcome;
            })) {
      dev.trunkline.support.Awaits.until(
          () -> handled.get() == times && queue.stats().inFlight() == 0);
    }
  }
}
