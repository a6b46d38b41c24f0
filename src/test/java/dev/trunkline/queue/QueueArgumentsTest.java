package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** As {@link ArgumentsTest}, where it takes a queue to be refused. */
class QueueArgumentsTest extends QueueFixture {

  @Test
  void a_value_out_of_range_is_refused_by_queues_and_deliveries_too() {
    send("a");
    Delivery delivery = receiveOne();
    Consumer consumer = queue.consume(unused -> Outcome.ack());
    Map<ThrowingCallable, String> calls =
        Map.ofEntries(
            Map.entry(() -> queue.receive(0), "maxMessages must be between 1 and 10000: 0"),
            Map.entry(() -> queue.peek(0), "limit must be between 1 and 1000: 0"),
            Map.entry(() -> queue.peek(1_001), "limit must be between 1 and 1000: 1001"),
            Map.entry(
                () -> queue.peek(MessageState.SCHEDULED, -1),
                "limit must be between 1 and 1000: -1"),
            Map.entry(() -> queue.deadLetters().browse(0), "limit must be between 1 and 1000: 0"),
            Map.entry(
                () -> queue.deadLetters().browse(0, 1_001),
                "limit must be between 1 and 1000: 1001"),
            Map.entry(
                () -> delivery.extend(Duration.ZERO),
                "visibilityTimeout must be between 1 ms and 12 h: PT0S"),
            Map.entry(
                () -> delivery.retry(Duration.ofMillis(-1)),
                "after must be between zero and 365 days: PT-0.001S"),
            Map.entry(
                () -> consumer.close(Duration.ofMillis(-1)),
                "timeout must not be negative: PT-0.001S"));
    try {
      calls.forEach(
          (call, message) ->
              assertThatThrownBy(call)
                  .isInstanceOf(IllegalArgumentException.class)
                  .hasMessage(message));
      assertThat(consumer.isClosed()).isFalse();
    } finally {
      consumer.close();
    }
    assertThatCode(delivery::ack).as("untouched").doesNotThrowAnyException();
  }

  @Test
  @SuppressWarnings("NullAway") // A caller without null checks may pass one.
  void what_is_missing_is_named() {
    Map<ThrowingCallable, String> calls =
        Map.ofEntries(
            Map.entry(() -> trunkline.queue(null), "name"),
            Map.entry(() -> trunkline.queue(null, CONFIG), "name"),
            Map.entry(() -> trunkline.queue("a", null), "config"),
            Map.entry(() -> trunkline.alterQueue("a", null), "config"),
            Map.entry(() -> queue.sendAll(null), "messages"),
            Map.entry(
                () -> queue.send((java.sql.Connection) null, Message.text("a")), "connection"),
            Map.entry(() -> queue.receive(null), "options"),
            Map.entry(() -> queue.consume((Handler) null), "handler"),
            Map.entry(() -> queue.consume(null, delivery -> Outcome.ack()), "config"),
            Map.entry(() -> queue.peek(null, 1), "state"),
            Map.entry(() -> queue.deadLetters().replay(null), "ids"),
            Map.entry(() -> queue.deadLetters().purge(null), "ids"),
            Map.entry(() -> Outcome.deadLetter(null), "detail"),
            Map.entry(() -> Message.text(null), "payload"),
            Map.entry(() -> Message.bytes(null), "payload"),
            Map.entry(() -> Message.json((Object) null), "value"),
            Map.entry(() -> Message.text("a").withHeader(null, "b"), "name"),
            Map.entry(() -> Message.text("a").withHeader("b", null), "value"),
            Map.entry(() -> Message.text("a").withDelay(null), "delay"),
            Map.entry(() -> Message.text("a").withDeliverAt(null), "deliverAt"),
            Map.entry(() -> Trunkline.open((javax.sql.DataSource) null), "dataSource"),
            Map.entry(
                () ->
                    new QueueConfig(
                        null, AT_ONCE, 1, SendRules.none(), FlowRules.none(), Ordering.none()),
                "visibilityTimeout"),
            Map.entry(() -> CONFIG.withRetryPolicy(null), "retryPolicy"));

    calls.forEach(
        (call, name) ->
            assertThatThrownBy(call).isInstanceOf(NullPointerException.class).hasMessage(name));
    assertThat(trunkline.queueNames()).isEqualTo(List.of("orders"));
  }
}
