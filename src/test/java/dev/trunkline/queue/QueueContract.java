package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** What holds however a message is sent and however it is received. */
abstract class QueueContract extends QueueFixture {

  /** Sends text messages and commits. Answers their ids in the order of the messages. */
  abstract List<MessageId> send(List<Message> messages) throws Exception;

  /** Hands so many deliveries to the handler, one after the other, and settles as it says. */
  abstract void handle(int times, Function<Delivery, Outcome> handler);

  @Test
  void a_message_arrives_with_all_that_was_sent_and_is_gone_when_it_is_acked() throws Exception {
    Message sent =
        Message.text("größer, \"quoted\" {braced} \\ ")
            .withKey("customer-7")
            .withType("order.placed")
            .withContentType("text/plain; charset=utf-8")
            .withHeaders(Map.of("trace", "a,b", "empty", "", "quote\"", "{\\}"))
            .withPriority(3);
    List<MessageId> ids = send(List.of(sent));

    List<Delivery> handled = new ArrayList<>();
    handle(
        1,
        delivery -> {
          handled.add(delivery);
          return Outcome.ack();
        });

    Delivery delivery = handled.get(0);
    assertThat(delivery.id()).isEqualTo(ids.get(0));
    assertThat(delivery.queue()).isEqualTo("orders");
    assertThat(delivery.attempt()).isEqualTo(1);
    assertThat(delivery.acquired()).isEqualTo(1);
    assertThat(delivery.isRedelivered()).isFalse();
    assertThat(delivery.enqueuedAt())
        .isBetween(Instant.now().minusSeconds(60), Instant.now().plusSeconds(60));
    Message message = delivery.message();
    assertThat(message.text()).isEqualTo(sent.text());
    assertThat(message.key()).contains("customer-7");
    assertThat(message.type()).contains("order.placed");
    assertThat(message.contentType()).contains("text/plain; charset=utf-8");
    assertThat(message.headers()).isEqualTo(sent.headers());
    assertThat(message.priority()).isEqualTo(3);
    assertThat(count("message")).isZero();
    assertThat(count("lease")).isZero();
  }

  @Test
  void messages_arrive_in_the_order_of_sending() throws Exception {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < 70; i++) {
      messages.add(Message.text("m" + i));
    }
    List<MessageId> ids = send(messages);

    List<MessageId> handled = new ArrayList<>();
    handle(
        70,
        delivery -> {
          handled.add(delivery.id());
          return Outcome.ack();
        });

    assertThat(handled)
        .isEqualTo(ids)
        .isSortedAccordingTo((a, b) -> Long.compare(a.value(), b.value()));
  }

  @Test
  void higher_priorities_come_first() throws Exception {
    List<MessageId> ids =
        send(
            List.of(
                Message.text("low"),
                Message.text("high").withPriority(9),
                Message.text("middle").withPriority(5),
                Message.text("low too"),
                Message.text("high too").withPriority(9)));

    List<String> handled = new ArrayList<>();
    handle(
        5,
        delivery -> {
          handled.add(delivery.message().text());
          return Outcome.ack();
        });

    assertThat(ids).doesNotHaveDuplicates().hasSize(5);
    assertThat(handled).containsExactly("high", "high too", "middle", "low", "low too");
  }

  @Test
  void what_fails_is_delivered_again_and_what_fails_for_good_is_dead() throws Exception {
    List<MessageId> ids = send(List.of(Message.text("poison").withKey("k").withHeader("a", "b")));

    List<Integer> attempts = new ArrayList<>();
    handle(
        5,
        delivery -> {
          attempts.add(delivery.attempt());
          return Outcome.retry();
        });

    assertThat(attempts).containsExactly(1, 2, 3, 4, 5);
    assertThat(count("message")).isZero();
    DeadLetter letter = queue.deadLetters().browse(10).get(0);
    assertThat(letter.messageId()).isEqualTo(ids.get(0));
    assertThat(letter.reason()).isEqualTo(DeathReason.DELIVERY_LIMIT);
    assertThat(letter.deliveries()).isEqualTo(5);
    assertThat(letter.acquired()).isEqualTo(5);
    assertThat(letter.message().text()).isEqualTo("poison");
    assertThat(letter.message().key()).contains("k");
    assertThat(letter.message().headers()).isEqualTo(Map.of("a", "b"));
  }

  @Test
  void what_is_released_comes_again_without_having_burnt_an_attempt() throws Exception {
    send(List.of(Message.text("not now")));

    List<String> seen = new ArrayList<>();
    handle(
        3,
        delivery -> {
          seen.add(delivery.attempt() + "/" + delivery.acquired());
          return delivery.acquired() < 3 ? Outcome.release() : Outcome.ack();
        });

    assertThat(seen).containsExactly("1/1", "1/2", "1/3");
  }

  @Test
  void what_is_rejected_is_dead_at_once() throws Exception {
    send(List.of(Message.text("nonsense")));

    handle(1, delivery -> Outcome.deadLetter("no such customer"));

    assertThat(queue.deadLetters().browse(10))
        .singleElement()
        .satisfies(
            letter -> {
              assertThat(letter.reason()).isEqualTo(DeathReason.REJECTED);
              assertThat(letter.detail()).contains("no such customer");
              assertThat(letter.deliveries()).isEqualTo(1);
            });
  }

  @Test
  void a_delayed_message_waits_for_its_time_and_lets_the_others_pass() throws Exception {
    send(List.of(Message.text("in an hour").withDelay(Duration.ofHours(1)), Message.text("now")));
    assertThat(queue.stats().scheduled()).isEqualTo(1);

    List<String> handled = new ArrayList<>();
    Function<Delivery, Outcome> handler =
        delivery -> {
          handled.add(delivery.message().text());
          return Outcome.ack();
        };
    handle(1, handler);
    assertThat(handled).containsExactly("now");

    scheduler().promoteDue(Instant.now().plus(Duration.ofMinutes(59)));
    assertThat(queue.stats().ready()).isZero();
    scheduler().promoteDue(Instant.now().plus(Duration.ofMinutes(61)));
    handle(1, handler);
    assertThat(handled).containsExactly("now", "in an hour");
  }
}
