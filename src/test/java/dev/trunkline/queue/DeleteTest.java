package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class DeleteTest extends QueueFixture {

  @Test
  void a_deleted_queue_is_gone_with_its_messages() {
    sendNumbers(50);
    queue.receive(10);
    queue.send(Message.text("later").withDelay(Duration.ofHours(1)));

    queue.delete();

    assertThat(count("message")).isZero();
    assertThat(count("lease")).isZero();
    assertThat(count("scheduled")).isZero();
    assertThat(trunkline.queueNames()).isEmpty();
    assertThatThrownBy(() -> trunkline.queue("orders"))
        .isInstanceOf(QueueNotFoundException.class)
        .hasMessageContaining("\"orders\"");
  }

  @Test
  void a_handle_of_a_deleted_queue_says_so() throws SQLException {
    queue.delete();

    try (Connection connection = database.connect()) {
      List<ThrowingCallable> calls =
          List.of(
              () -> send("a"),
              () -> queue.send(Message.text("a").withDelay(Duration.ofHours(1))),
              () -> sendNumbers(5_000),
              () -> queue.send(connection, Message.text("a")),
              () -> queue.stats(),
              () -> queue.pause(),
              () -> queue.resume(),
              () -> queue.delete());
      assertThat(calls)
          .allSatisfy(
              call ->
                  assertThatThrownBy(call)
                      .isInstanceOf(QueueNotFoundException.class)
                      .extracting(e -> ((QueueNotFoundException) e).queue())
                      .isEqualTo("orders"));
    }
    assertThat(count("message")).isZero();
  }

  @Test
  void who_held_a_message_is_told_that_it_is_gone() {
    send("a");
    Delivery held = receiveOne();

    queue.delete();

    assertThatThrownBy(held::ack).isInstanceOf(LeaseLostException.class);
    assertThatThrownBy(held::retry).isInstanceOf(LeaseLostException.class);
  }

  @Test
  void the_name_is_free_at_once_and_the_new_queue_is_another() {
    send("old");
    Queue stale = queue;

    queue.delete();
    Queue fresh = trunkline.queue("orders", CONFIG.withMaxDeliveries(9));

    assertThat(fresh.stats().sent()).isZero();
    fresh.send(Message.text("new"));
    assertThat(texts(fresh.receive(10))).containsExactly("new");
    assertThatThrownBy(() -> stale.send(Message.text("a")))
        .isInstanceOf(QueueNotFoundException.class);
    assertThat(stale.receive(10)).isEmpty();
  }

  @Test
  void a_consumer_of_a_deleted_queue_gets_nothing_of_its_successor() {
    Consumer consumer = queue.consume(delivery -> Outcome.ack());
    try {
      queue.delete();
      Queue fresh = trunkline.queue("orders", CONFIG);
      fresh.send(Message.text("a"));

      assertThat(texts(fresh.receive(waiting(PATIENCE)))).containsExactly("a");
    } finally {
      consumer.close();
    }
  }

  @Test
  void what_a_late_sender_adds_is_removed_by_the_housekeeping() throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      queue.sendAll(
          connection,
          List.of(Message.text("late"), Message.text("later").withDelay(Duration.ofHours(1))));
      queue.delete();
      Queue fresh = trunkline.queue("orders", CONFIG);
      connection.commit();

      assertThat(count("message")).isEqualTo(2);
      assertThat(fresh.receive(10)).isEmpty();
    }

    new Housekeeping(library()).runOnce();

    assertThat(count("message")).isZero();
    assertThat(count("ready")).isZero();
    assertThat(count("scheduled")).isZero();
  }

  @Test
  void a_deleted_queue_is_forgotten_after_a_day_and_not_before() {
    queue.delete();
    new Housekeeping(library()).runOnce();
    assertThat(database.number("SELECT count(*) FROM trunkline.queue")).isEqualTo(1);

    database.execute("UPDATE trunkline.queue SET deleted_at = now() - interval '25 hours'");
    new Housekeeping(library()).runOnce();

    assertThat(database.number("SELECT count(*) FROM trunkline.queue")).isZero();
    assertThat(database.number("SELECT count(*) FROM trunkline.tally")).isZero();
  }

  @Test
  void dead_letters_stay_and_belong_to_the_next_queue_of_that_name() {
    sendAll("a", "b");
    queue.receive(10).forEach(delivery -> delivery.deadLetter("no"));

    queue.delete();
    assertThat(count("dead_letter")).isEqualTo(2);
    assertThatThrownBy(() -> queue.deadLetters().replayAll())
        .isInstanceOf(QueueNotFoundException.class);
    Queue fresh = trunkline.queue("orders", CONFIG);

    assertThat(fresh.stats().dead()).isEqualTo(2);
    assertThat(fresh.deadLetters().browse(10)).hasSize(2);
    assertThat(fresh.deadLetters().replayAll()).isEqualTo(2);
    assertThat(fresh.stats().dead()).isZero();
    assertThat(texts(fresh.receive(10))).containsExactly("a", "b");
  }

  @Test
  void a_message_that_dies_while_its_queue_is_deleted_is_counted_where_it_is_found() {
    send("a");
    Delivery held = receiveOne();
    // Deleted by a process that ended before it had removed the messages.
    database.execute("UPDATE trunkline.queue SET deleted_at = now()");
    Queue fresh = trunkline.queue("orders", CONFIG);

    held.deadLetter("no");

    assertThat(fresh.deadLetters().browse(10)).hasSize(1);
    assertThat(fresh.stats().dead()).isEqualTo(1);
  }
}
