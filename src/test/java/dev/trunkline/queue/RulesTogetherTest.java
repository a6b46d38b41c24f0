package dev.trunkline.queue;

import static dev.trunkline.queue.Cancellation.CANCELLED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.QueueFullException;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A queue that is bounded, deduplicates and lets messages expire: each rule minds the others. */
class RulesTogetherTest extends QueueFixture {
  private static final Duration HOUR = Duration.ofHours(1);

  @BeforeEach
  void bounded() {
    queue =
        altered(
            CONFIG
                .withDeduplication()
                .withBounds(Bounds.messages(3).withOverflow(Overflow.REJECT).withMaxBytes(1000)));
  }

  @Test
  void what_is_cancelled_makes_room_in_messages_and_bytes() {
    List<MessageId> ids = queue.sendAll(List.of(of(300), of(300), of(300)));
    assertThatThrownBy(() -> queue.send(of(1))).isInstanceOf(QueueFullException.class);

    assertThat(queue.cancel(ids.get(1))).isEqualTo(CANCELLED);
    queue.send(of(10));
    assertThatThrownBy(() -> queue.send(of(1))).isInstanceOf(QueueFullException.class);

    ids.forEach(queue::cancel);
    assertThat(queue.stats().ready()).isEqualTo(1);
    assertThat(queue.stats().waitingBytes()).isEqualTo(10);
  }

  @Test
  void what_is_put_off_waits_still_and_what_is_cancelled_there_does_not() {
    List<MessageId> ids = queue.sendAll(List.of(of(300), of(200)));
    queue.reschedule(ids.get(0), HOUR);
    assertThat(queue.stats().scheduled()).isEqualTo(1);
    queue.cancel(ids.get(1));
    assertThat(queue.stats().waitingBytes()).isEqualTo(300);

    assertThat(queue.cancel(ids.get(0))).isEqualTo(CANCELLED);
    assertThat(queue.stats().waitingBytes()).isZero();
  }

  @Test
  void what_has_expired_in_line_or_before_it_was_due_makes_room() {
    queue.sendAll(IntStream.range(0, 2).mapToObj(i -> of(100).withTimeToLive(HOUR)).toList());
    queue.send(of(50).withTimeToLive(HOUR.multipliedBy(2)).withDelay(HOUR));
    assertThat(queue.stats().waitingBytes()).isEqualTo(250);
    assertThatThrownBy(() -> queue.send(of(1))).isInstanceOf(QueueFullException.class);

    sweeper().sweep(Instant.now().plus(Duration.ofMinutes(61)));
    assertThat(queue.stats().waitingBytes()).isEqualTo(50);
    sweeper().sweep(Instant.now().plus(Duration.ofMinutes(121)));

    assertThat(queue.stats().waitingBytes()).isZero();
    queue.sendAll(List.of(of(1), of(1), of(1)));
  }

  @Test
  void a_message_that_is_known_succeeds_on_a_full_queue_and_takes_no_room() throws SQLException {
    MessageId first = queue.send(of(10).withDeduplicationId("a"));
    MessageId second = queue.send(of(10).withDeduplicationId("b"));
    queue.send(of(10));

    assertThat(queue.send(of(10).withDeduplicationId("a"))).isEqualTo(first);
    assertThat(
            queue.sendAll(List.of(of(1).withDeduplicationId("b"), of(1).withDeduplicationId("a"))))
        .containsExactly(second, first);
    try (Connection caller = database.connect()) {
      caller.setAutoCommit(false);
      assertThat(queue.send(caller, of(10).withDeduplicationId("b"))).isEqualTo(second);
      caller.commit();
    }
    assertThatThrownBy(
            () ->
                queue.sendAll(
                    List.of(of(1).withDeduplicationId("a"), of(1).withDeduplicationId("c"))))
        .isInstanceOf(QueueFullException.class);
    assertThatThrownBy(() -> queue.send(of(1))).isInstanceOf(QueueFullException.class);

    assertThat(queue.stats().ready()).isEqualTo(3);
    assertThat(queue.stats().waitingBytes()).isEqualTo(30);
  }

  @Test
  void what_is_known_and_over_is_not_known_on_a_full_queue() {
    queue.send(of(1).withDeduplicationId("a"));
    queue.sendAll(List.of(of(1), of(1)));
    database.execute("UPDATE trunkline.dedup SET expires_at = clock_timestamp()");

    assertThatThrownBy(() -> queue.send(of(1).withDeduplicationId("a")))
        .isInstanceOf(QueueFullException.class);
  }

  @Test
  void nothing_makes_room_for_a_message_that_is_known() {
    queue =
        altered(
            CONFIG
                .withDeduplication()
                .withBounds(Bounds.messages(2).withOverflow(Overflow.DROP_OLDEST)));
    MessageId first = queue.send(of(1).withDeduplicationId("a"));
    queue.send(of(1));

    assertThat(queue.send(of(1).withDeduplicationId("a"))).isEqualTo(first);

    assertThat(queue.stats().dead()).isZero();
    assertThat(queue.stats().ready()).isEqualTo(2);
  }

  @Test
  void a_producer_is_refused_by_a_full_queue_and_may_send_the_same_number_later() {
    Producer producer = queue.producer("till");
    queue.sendAll(List.of(of(1), of(1), of(1)));

    assertThatThrownBy(() -> producer.send(1, of(1))).isInstanceOf(QueueFullException.class);
    assertThat(queue.receive(1)).hasSize(1).allSatisfy(Delivery::ack);
    producer.send(1, of(1));

    assertThat(producer.lastSequence()).hasValue(1);
    assertThat(queue.stats().ready()).isEqualTo(3);
  }

  @Test
  void the_oldest_of_a_run_make_room_and_the_rest_expire_in_time() {
    queue = altered(CONFIG.withBounds(Bounds.messages(3).withOverflow(Overflow.DROP_OLDEST)));
    queue.sendAll(IntStream.range(0, 3).mapToObj(i -> of(5).withTimeToLive(HOUR)).toList());
    queue.send(Message.text("new"));
    assertThat(queue.stats().dead()).isEqualTo(1);

    sweeper().sweep(Instant.now().plus(Duration.ofMinutes(61)));

    assertThat(queue.stats().expired()).isEqualTo(2);
    assertThat(texts(queue.receive(10))).containsExactly("new");
  }

  private static Message of(int bytes) {
    return Message.bytes(new byte[bytes]);
  }
}
