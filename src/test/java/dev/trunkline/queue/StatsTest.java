package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class StatsTest extends QueueFixture {
  private long sent;
  private long acked;

  @Test
  void stats_are_what_counting_would_say_at_every_step() {
    Queue other = trunkline.queue("other", CONFIG);
    other.sendAll(List.of(Message.text("x"), Message.text("y")));
    checked("nothing");
    sendNumbers(100);
    sent += 100;
    checked("send");
    queue.sendAll(
        List.of(
            Message.text("d").withDelay(Duration.ofHours(1)), Message.text("p").withPriority(9)));
    sent += 2;
    checked("send delayed");
    database.text("SELECT trunkline.send('orders', 'a')");
    database.text("SELECT trunkline.send('orders', 'a', delay => '1 hour')");
    sent += 2;
    checked("send by SQL");
    List<Delivery> batch = queue.receive(40);
    checked("receive");
    batch.get(0).ack();
    acked++;
    checked("ack one");
    queue.ackAll(batch.subList(1, 10));
    acked += 9;
    checked("ack some");
    batch.get(10).retry();
    checked("retry");
    batch.get(11).retry(Duration.ofHours(1));
    checked("retry later");
    batch.get(12).release();
    checked("release");
    batch.get(13).deadLetter("no");
    batch.get(14).deadLetter("no");
    batch.get(15).deadLetter("no");
    checked("dead");
    batch.get(16).extend(Duration.ofHours(1));
    checked("extend");
    queue.deadLetters().replay(List.of(queue.deadLetters().browse(1).get(0).id()));
    checked("replay");
    queue.deadLetters().purge(List.of(queue.deadLetters().browse(1).get(0).id()));
    checked("purge dead");
    new Housekeeping(library()).fold();
    checked("fold");
    expireAll();
    checked("expire");
    promoteAll();
    checked("promote");
    List<Delivery> all = queue.receive(upTo(1_000));
    queue.ackAll(all);
    acked += all.size();
    checked("ack all");
    sendNumbers(10);
    sent += 10;
    queue.receive(3);
    queue.purge();
    checked("purge");
    new Housekeeping(library()).fold();
    checked("fold again");
    assertThat(other.stats().ready()).isEqualTo(2);
    assertThat(database.number("SELECT count(*) FROM trunkline.tally")).isLessThan(10);
  }

  private void checked(String step) {
    QueueStats stats = queue.stats();
    assertThat(
            List.of(
                stats.ready(),
                stats.inFlight(),
                stats.scheduled(),
                stats.dead(),
                stats.sent(),
                stats.acked()))
        .as(step)
        .isEqualTo(
            List.of(
                counted("SELECT sum(cardinality(ids)) FROM trunkline.ready WHERE queue_id = %d"),
                counted("SELECT sum(cardinality(ids)) FROM trunkline.lease WHERE queue_id = %d"),
                counted("SELECT count(*) FROM trunkline.scheduled WHERE queue_id = %d"),
                counted(
                    "SELECT count(*) FROM trunkline.dead_letter WHERE queue = 'orders' AND %d > 0"),
                sent,
                acked));
    assertThat(
            database.text(
                "SELECT concat_ws(' ', ready, in_flight, scheduled, dead, sent, acked) FROM trunkline.queues WHERE queue = 'orders'"))
        .as(step + ", by the view")
        .isEqualTo(
            "%d %d %d %d %d %d"
                .formatted(
                    stats.ready(),
                    stats.inFlight(),
                    stats.scheduled(),
                    stats.dead(),
                    stats.sent(),
                    stats.acked()));
  }

  private long counted(String sql) {
    long queueId = database.number("SELECT id FROM trunkline.queue WHERE name = 'orders'");
    String counted = database.text(sql.formatted(queueId));
    return counted == null ? 0 : Long.parseLong(counted);
  }

  @Test
  void the_oldest_ready_message_is_found_in_any_priority() {
    assertThat(queue.stats().oldestReady()).isEmpty();
    queue.send(Message.text("old").withPriority(2));
    queue.send(Message.text("new").withPriority(9));
    database.execute(
        "UPDATE trunkline.message SET enqueued_at = now() - interval '1 hour' WHERE priority = 2");

    assertThat(queue.stats().oldestReady().orElseThrow())
        .isBetween(Duration.ofMinutes(59), Duration.ofMinutes(61));
    queue.receive(10);
    assertThat(queue.stats().oldestReady()).isEmpty();
  }

  @Test
  void what_a_caller_has_not_committed_is_not_counted() throws java.sql.SQLException {
    try (java.sql.Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      queue.send(connection, Message.text("a"));
      assertThat(queue.stats().ready()).isZero();
      connection.rollback();
    }
    assertThat(queue.stats().sent()).isZero();
  }
}
