package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PeekTest extends QueueFixture {

  @Test
  void ready_messages_are_seen_in_the_order_of_their_delivery() {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < 90; i++) {
      messages.add(Message.text("m" + i).withPriority(i % 4));
    }
    queue.sendAll(messages);
    queue.receive(5).forEach(Delivery::release);

    List<MessageId> seen = queue.peek(100).stream().map(PeekedMessage::id).toList();

    assertThat(queue.peek(7).stream().map(PeekedMessage::id)).isEqualTo(seen.subList(0, 7));
    assertThat(ids(queue.receive(upTo(100)))).isEqualTo(seen).hasSize(90);
  }

  @Test
  void a_message_is_seen_with_all_that_was_sent() {
    MessageId id =
        queue.send(
            Message.text("a")
                .withKey("k")
                .withType("t")
                .withHeaders(Map.of("h", "\"v\","))
                .withPriority(4));

    PeekedMessage seen = queue.peek(1).get(0);

    assertThat(seen.id()).isEqualTo(id);
    assertThat(seen.state()).isEqualTo(MessageState.READY);
    assertThat(seen.message().text()).isEqualTo("a");
    assertThat(seen.message().key()).contains("k");
    assertThat(seen.message().type()).contains("t");
    assertThat(seen.message().contentType()).contains("text/plain");
    assertThat(seen.message().headers()).isEqualTo(Map.of("h", "\"v\","));
    assertThat(seen.message().priority()).isEqualTo(4);
    assertThat(seen.deliveries()).isZero();
    assertThat(seen.acquired()).isZero();
    assertThat(seen.until()).isEmpty();
  }

  @Test
  void scheduled_and_held_messages_are_seen_with_the_time_they_wait_for() {
    queue.send(Message.text("second").withDelay(Duration.ofHours(2)).withPriority(9));
    queue.send(Message.text("first").withDelay(Duration.ofHours(1)));
    sendAll("held long", "held short");
    queue.receive(upTo(1).withVisibilityTimeout(Duration.ofHours(2)));
    queue.receive(upTo(1).withVisibilityTimeout(Duration.ofHours(1)));

    assertThat(queue.peek(MessageState.SCHEDULED, 10))
        .extracting(m -> m.message().text() + " " + m.message().priority())
        .containsExactly("first 0", "second 9");
    assertThat(queue.peek(MessageState.IN_FLIGHT, 10))
        .extracting(m -> m.message().text() + " " + m.acquired())
        .containsExactly("held short 1", "held long 1");
    assertThat(queue.peek(MessageState.IN_FLIGHT, 10))
        .allSatisfy(m -> assertThat(m.until().orElseThrow()).isAfter(m.enqueuedAt()));
    assertThat(queue.peek(MessageState.SCHEDULED, 1)).hasSize(1);
    assertThat(queue.peek(MessageState.IN_FLIGHT, 1)).hasSize(1);
    assertThat(queue.peek(10)).isEmpty();
  }

  @Test
  void looking_changes_nothing() {
    sendNumbers(40);
    queue.send(Message.text("later").withDelay(Duration.ofHours(1)));
    Delivery held = queue.receive(1).get(0);
    List<List<Object>> before = tables();

    for (MessageState state : MessageState.values()) {
      queue.peek(state, 100);
    }

    assertThat(tables()).isEqualTo(before);
    held.ack();
    assertThat(queue.receive(upTo(100)))
        .hasSize(39)
        .allSatisfy(d -> assertThat(d.acquired()).isEqualTo(1));
  }

  @Test
  void only_the_queue_itself_is_seen() {
    Queue other = trunkline.queue("other", CONFIG);
    sendAll("a", "b", "c");
    queue.receive(1);
    queue.receive(1).get(0).retry(Duration.ofHours(1));

    for (MessageState state : MessageState.values()) {
      assertThat(other.peek(state, 10)).as("%s", state).isEmpty();
      assertThat(queue.peek(state, 10)).as("%s", state).hasSize(1);
    }
  }

  private List<List<Object>> tables() {
    List<List<Object>> all = new ArrayList<>();
    all.addAll(rows("SELECT seq::text || ids::text FROM trunkline.ready ORDER BY seq"));
    all.addAll(rows("SELECT id::text || due_at::text FROM trunkline.scheduled ORDER BY id"));
    all.addAll(
        rows("SELECT id::text || ids::text || visible_at::text FROM trunkline.lease ORDER BY id"));
    return all;
  }

  private List<List<Object>> rows(String sql) {
    return database.texts(sql).stream().map(text -> List.<Object>of(String.valueOf(text))).toList();
  }
}
