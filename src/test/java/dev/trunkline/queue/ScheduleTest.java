package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ScheduleTest extends QueueFixture {

  @Test
  void what_is_never_due_holds_up_neither_the_rest_nor_the_heartbeat() {
    queue.send(Message.text("never").withDelay(Duration.ofHours(1)));
    database.execute("UPDATE trunkline.scheduled SET due_at = 'infinity'");
    queue.send(Message.text("soon").withDelay(Duration.ofMillis(100)));

    List<Delivery> received = new ArrayList<>();
    Awaits.until(() -> received.addAll(queue.receive(10)));
    long beats = count("heartbeat");

    assertThat(received).singleElement().extracting(d -> d.message().text()).isEqualTo("soon");
    Awaits.until(() -> count("heartbeat") >= beats + 2);
    queue.ackAll(received);
    assertThat(queue.stats().scheduled()).isEqualTo(1);
  }

  @Test
  void a_delay_counts_from_the_sending_by_the_databases_clock() {
    Instant before = databaseNow();
    queue.send(Message.text("a").withDelay(Duration.ofMinutes(10)));
    Instant after = databaseNow();

    assertThat(queue.receive(10)).isEmpty();
    assertThat(scheduler().promoteDue(before.plusSeconds(599))).isZero();
    assertThat(scheduler().promoteDue(after.plusSeconds(601))).isEqualTo(1);
    assertThat(texts(queue.receive(10))).containsExactly("a");
  }

  @Test
  void an_instant_is_an_instant_whatever_the_time_zones() {
    Instant at =
        Instant.now()
            .atZone(ZoneId.of("America/New_York"))
            .plusDays(200)
            .toInstant()
            .truncatedTo(ChronoUnit.MILLIS);

    queue.send(Message.text("a").withDeliverAt(at));

    assertThat(queue.peek(MessageState.SCHEDULED, 1).get(0).until()).contains(at);
    assertThat(scheduler().promoteDue(at.minusMillis(1))).isZero();
    assertThat(scheduler().promoteDue(at)).isEqualTo(1);
  }

  @Test
  void an_instant_in_the_past_means_now_however_far_back_it_is() {
    queue.sendAll(
        List.of(
            Message.text("yesterday").withDeliverAt(Instant.now().minus(Duration.ofDays(1))),
            Message.text("moon").withDeliverAt(Instant.parse("1969-07-20T20:17:40Z")),
            Message.text("stone age").withDeliverAt(Instant.parse("-9000-01-01T00:00:00Z")),
            Message.text("beginning").withDeliverAt(Instant.MIN)));

    Awaits.until(() -> queue.stats().ready() == 4);

    assertThat(texts(queue.receive(10)))
        .containsExactlyInAnyOrder("yesterday", "moon", "stone age", "beginning");
  }

  @Test
  void a_delay_of_nothing_is_none() {
    queue.sendAll(
        List.of(
            Message.text("zero").withDelay(Duration.ZERO),
            Message.text("less than the clock can tell").withDelay(Duration.ofNanos(999_999))));

    assertThat(queue.stats().scheduled()).isZero();
    assertThat(queue.receive(10)).hasSize(2);
  }

  @Test
  void the_last_instant_that_is_allowed_can_be_stored() {
    queue.send(Message.text("a").withDeliverAt(Instant.parse("9999-12-30T23:59:59Z")));
    queue.send(Message.text("b").withDelay(Duration.ofDays(3650)));

    assertThat(queue.stats().scheduled()).isEqualTo(2);
  }

  @Test
  void those_due_first_come_first_whatever_the_order_of_sending() {
    List<Integer> minutes = new ArrayList<>();
    for (int i = 1; i <= 100; i++) {
      minutes.add(i);
    }
    Collections.shuffle(minutes, new Random(5));
    queue.sendAll(
        minutes.stream()
            .map(m -> Message.text(String.valueOf(m)).withDelay(Duration.ofMinutes(m)))
            .toList());

    assertThat(promoteAll()).isEqualTo(100);

    List<Delivery> received = queue.receive(upTo(100));
    assertThat(texts(received).stream().map(Integer::valueOf)).isSorted();
  }

  @Test
  void those_due_first_come_first_whatever_their_sizes() {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < 120; i++) {
      int bytes = i % 41 == 20 || i % 7 == 3 ? 20_000 : 10;
      messages.add(Message.bytes(new byte[bytes]).withDelay(Duration.ofSeconds(100 + i)));
    }
    List<MessageId> ids = queue.sendAll(messages);

    promoteAll();

    assertThat(ids(queue.receive(upTo(120)))).isEqualTo(ids);
  }

  @Test
  void only_what_is_due_becomes_ready() {
    for (int i = 1; i <= 5; i++) {
      queue.send(Message.text("m" + i).withDelay(Duration.ofHours(i)));
    }

    scheduler().promoteDue(Instant.now().plus(Duration.ofMinutes(150)));

    assertThat(texts(queue.receive(10))).containsExactly("m1", "m2");
    assertThat(queue.stats().scheduled()).isEqualTo(3);
  }

  @Test
  void more_than_one_step_becomes_due_at_once_and_in_order() {
    List<MessageId> ids =
        queue.sendAll(Collections.nCopies(2_300, Message.text("a").withDelay(Duration.ofHours(1))));

    assertThat(promoteAll()).isEqualTo(2_300);

    assertThat(ids(queue.receive(upTo(3_000)))).isEqualTo(ids);
  }

  @Test
  void a_delayed_message_keeps_its_priority_and_its_queue() {
    Queue other = trunkline.queue("other", CONFIG);
    queue.sendAll(
        List.of(
            Message.text("low").withDelay(Duration.ofSeconds(60)),
            Message.text("high").withPriority(9).withDelay(Duration.ofSeconds(61))));
    other.send(Message.text("other").withDelay(Duration.ofSeconds(60)));
    send("now");

    promoteAll();

    assertThat(texts(queue.receive(10))).containsExactly("high", "now", "low");
    assertThat(texts(other.receive(10))).containsExactly("other");
  }

  @Test
  void what_backs_off_keeps_its_counts_when_its_time_comes() {
    send("a");
    receiveOne().retry(Duration.ofHours(1));

    promoteAll();

    Delivery again = receiveOne();
    assertThat(again.attempt()).isEqualTo(2);
    assertThat(again.acquired()).isEqualTo(2);
  }

  @Test
  void a_short_delay_ends_by_itself_for_one_who_waits() {
    Instant before = databaseNow();
    queue.send(Message.text("a").withDelay(Duration.ofMillis(300)));

    List<Delivery> received = queue.receive(waiting(PATIENCE));

    assertThat(texts(received)).containsExactly("a");
    assertThat(databaseNow()).isAfterOrEqualTo(before.plusMillis(300));
  }

  @Test
  void a_scheduled_message_whose_sender_commits_after_its_time_is_not_forgotten()
      throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      queue.send(connection, Message.text("a").withDeliverAt(Instant.now().minusSeconds(3600)));
      send("marker");
      assertThat(texts(queue.receive(waiting(PATIENCE)))).containsExactly("marker");
      connection.commit();
    }

    assertThat(texts(queue.receive(waiting(PATIENCE)))).containsExactly("a");
  }

  @Test
  void two_schedulers_make_each_message_ready_once() throws InterruptedException {
    queue.sendAll(Collections.nCopies(1_500, Message.text("a").withDelay(Duration.ofHours(1))));
    Thread other = new Thread(this::promoteAll);
    other.start();
    promoteAll();
    other.join();
    promoteAll();

    List<Delivery> received = queue.receive(upTo(5_000));
    assertThat(ids(received)).hasSize(1_500).doesNotHaveDuplicates();
  }

  private Instant databaseNow() {
    return Instant.ofEpochMilli(
        database.number("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"));
  }
}
