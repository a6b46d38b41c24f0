package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Outcome;
import java.util.List;
import java.util.function.Function;

/** The contract, by {@link Queue#receive}. */
abstract class PullContract extends QueueContract {
  @Override
  final void handle(int times, Function<Delivery, Outcome> handler) {
    int handled = 0;
    while (handled < times) {
      List<Delivery> received =
          queue.receive(waiting(PATIENCE).withMaxMessages(Math.min(50, times - handled)));
      assertThat(received).as("received within %s", PATIENCE).isNotEmpty();
      for (Delivery delivery : received) {
        delivery.settle(handler.apply(delivery));
      }
      handled += received.size();
    }
  }
}
