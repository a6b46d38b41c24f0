package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.ProducerFencedException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ProducerTest extends QueueFixture {

  @Test
  void each_sequence_is_sent_once_gaps_are_allowed_and_what_is_filtered_is_confirmed() {
    Producer producer = queue.producer("importer");
    assertThat(producer.lastSequence()).isEmpty();

    assertThat(producer.send(0, Message.text("0"))).isPresent();
    assertThat(producer.send(7, Message.text("7"))).isPresent();
    assertThat(producer.send(7, Message.text("again"))).isEmpty();
    assertThat(producer.send(3, Message.text("late"))).isEmpty();
    assertThat(producer.send(8, Message.text("8"))).isPresent();

    assertThat(producer.lastSequence()).hasValue(8);
    assertThat(texts(queue.receive(10))).containsExactly("0", "7", "8");
  }

  @Test
  void names_and_queues_are_apart() {
    Queue other = trunkline.queue("other", CONFIG);
    queue.producer("a").send(5, Message.text("x"));

    assertThat(queue.producer("b").send(5, Message.text("y"))).isPresent();
    assertThat(other.producer("a").send(5, Message.text("z"))).isPresent();
    assertThat(other.producer("a").lastSequence()).hasValue(5);
  }

  @Test
  void the_last_sequence_survives_a_restart_and_what_was_handled_is_not_sent_again() {
    queue.producer("importer").send(41, Message.text("a"));
    receiveOne().ack();
    trunkline.close();

    Queue again = open(OPENED).queue("orders");
    Producer producer = again.producer("importer");

    assertThat(producer.epoch()).isEqualTo(2);
    assertThat(producer.lastSequence()).hasValue(41);
    assertThat(producer.send(41, Message.text("a"))).isEmpty();
    assertThat(again.receive(10)).isEmpty();
  }

  @Test
  void a_newer_epoch_fences_the_older_one_which_sends_nothing_any_more() throws SQLException {
    Producer old = queue.producer("importer");
    old.send(1, Message.text("1"));
    Producer young = open(OPENED).queue("orders").producer("importer");

    assertThatThrownBy(() -> old.send(2, Message.text("2")))
        .isInstanceOfSatisfying(
            ProducerFencedException.class,
            e -> {
              assertThat(e.queue()).isEqualTo("orders");
              assertThat(e.producer()).isEqualTo("importer");
              assertThat(e.epoch()).isEqualTo(1);
            });
    assertThatThrownBy(() -> old.send(1, Message.text("1")))
        .as("nor confirms anything")
        .isInstanceOf(ProducerFencedException.class);
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      assertThatThrownBy(() -> old.send(connection, 2, Message.text("2")))
          .isInstanceOf(ProducerFencedException.class);
      queue.send(connection, Message.text("the transaction lives"));
      connection.commit();
    }
    assertThat(young.send(2, Message.text("2"))).isPresent();
    assertThat(texts(queue.receive(10))).containsExactly("1", "the transaction lives", "2");
  }

  @Test
  void in_a_callers_transaction_message_and_sequence_are_there_if_and_when_it_commits()
      throws SQLException {
    Producer producer = queue.producer("importer");
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      assertThat(producer.send(connection, 1, Message.text("a"))).isPresent();
      assertThat(producer.send(connection, 1, Message.text("a"))).isEmpty();
      connection.rollback();
      assertThat(producer.lastSequence()).isEmpty();
      assertThat(producer.send(connection, 1, Message.text("b"))).isPresent();
      assertThat(producer.send(connection, 2, Message.text("c"))).isPresent();
      assertThat(producer.lastSequence()).as("not committed").isEmpty();
      connection.commit();
    }
    assertThat(producer.lastSequence()).hasValue(2);
    assertThat(texts(queue.receive(10))).containsExactly("b", "c");
  }

  @Test
  void opening_waits_for_a_send_that_has_not_ended_and_then_knows_of_it()
      throws SQLException, InterruptedException, ExecutionException {
    Producer old = queue.producer("importer");
    ExecutorService opener = Executors.newSingleThreadExecutor();
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      old.send(connection, 9, Message.text("a"));
      Future<Producer> young = opener.submit(() -> queue.producer("importer"));
      Awaits.until(
          () ->
              database.number(
                      "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                          + " AND datname = current_database()")
                  > 0);
      connection.commit();
      assertThat(young.get().lastSequence()).hasValue(9);
      assertThat(young.get().send(9, Message.text("a"))).isEmpty();
    } finally {
      opener.shutdown();
    }
    assertThat(texts(queue.receive(10))).containsExactly("a");
  }

  @Test
  void threads_that_send_the_same_line_at_once_send_it_once_and_in_order()
      throws InterruptedException, ExecutionException {
    Producer producer = queue.producer("importer");
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Future<?>> all =
          IntStream.range(0, 4)
              .mapToObj(
                  thread ->
                      threads.submit(
                          () -> {
                            for (int i = 0; i < 150; i++) {
                              producer.send(i, Message.text(String.valueOf(i)));
                            }
                          }))
              .collect(Collectors.toList());
      for (Future<?> one : all) {
        one.get();
      }
    } finally {
      threads.shutdown();
    }

    assertThat(texts(queue.receive(1_000)))
        .containsExactlyElementsOf(IntStream.range(0, 150).mapToObj(String::valueOf).toList());
  }

  @Test
  void of_what_a_producer_has_reached_the_newest_is_kept_whatever_its_age() {
    Producer busy = queue.producer("busy");
    Producer idle = queue.producer("idle");
    idle.send(3, Message.text("a"));
    for (int i = 0; i < 50; i++) {
      busy.send(i, Message.text("b"));
    }
    database.execute(
        "UPDATE trunkline.producer_progress SET sent_at = sent_at - interval '1 hour'");
    busy.send(50, Message.text("b"));

    new SendPruning(library()).prune();

    assertThat(database.number("SELECT count(*) FROM trunkline.producer_progress")).isEqualTo(2);
    assertThat(busy.lastSequence()).hasValue(50);
    assertThat(idle.lastSequence()).hasValue(3);
    assertThat(idle.send(3, Message.text("a"))).isEmpty();
  }

  @Test
  void a_deleted_queue_takes_its_producers_along() {
    Producer producer = queue.producer("importer");
    producer.send(1, Message.text("a"));
    queue.delete();

    assertThatThrownBy(() -> producer.send(2, Message.text("b")))
        .isInstanceOf(QueueNotFoundException.class);
    assertThatThrownBy(producer::lastSequence).isInstanceOf(QueueNotFoundException.class);
    assertThat(database.number("SELECT count(*) FROM trunkline.producer_progress")).isZero();
    queue = trunkline.queue("orders", CONFIG);
    assertThat(queue.producer("importer").lastSequence()).isEmpty();
  }

  @Test
  void what_would_not_be_safe_is_refused() throws SQLException {
    Producer producer = queue.producer("importer");
    assertThatThrownBy(() -> producer.send(-1, Message.text("a")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("sequence must not be negative: -1");
    assertThatThrownBy(() -> queue.producer("no name"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("\"no name\"");
    try (Connection connection = database.connect()) {
      assertThatThrownBy(() -> producer.send(connection, 1, Message.text("a")))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("auto-commit");
      connection.setAutoCommit(false);
      connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      assertThatThrownBy(() -> producer.send(connection, 1, Message.text("a")))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageEndingWith("repeatable read");
      connection.rollback();
    }
    assertThat(queue.receive(10)).isEmpty();
  }
}
