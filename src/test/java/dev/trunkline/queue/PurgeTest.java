package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class PurgeTest extends QueueFixture {

  @Test
  void everything_but_the_dead_is_removed() {
    Queue other = trunkline.queue("other", CONFIG);
    other.send(Message.text("stays"));
    sendNumbers(2_000);
    queue.sendAll(Collections.nCopies(1_200, Message.text("later").withDelay(Duration.ofHours(1))));
    queue.receive(700);
    queue.receive(1).get(0).deadLetter("stays");
    queue.receive(1).get(0).ack();

    assertThat(queue.purge()).isEqualTo(2_000 + 1_200 - 2);

    assertThat(queue.stats())
        .satisfies(
            stats -> {
              assertThat(stats.ready()).isZero();
              assertThat(stats.inFlight()).isZero();
              assertThat(stats.scheduled()).isZero();
              assertThat(stats.dead()).isEqualTo(1);
              assertThat(stats.sent()).isEqualTo(3_200);
              assertThat(stats.acked()).isEqualTo(1);
            });
    assertThat(count("message")).isEqualTo(1);
    assertThat(texts(other.receive(10))).containsExactly("stays");
    assertThat(queue.purge()).isZero();
  }

  @Test
  void what_was_replayed_or_retried_before_is_removed_too() {
    sendAll("replayed", "retried");
    List<Delivery> both = queue.receive(10);
    both.get(0).deadLetter("no");
    both.get(1).retry();
    queue.deadLetters().replayAll();

    assertThat(queue.purge()).isEqualTo(2);

    assertThat(count("message")).isZero();
  }

  @Test
  void what_is_sent_while_it_runs_stays_and_is_whole() throws InterruptedException {
    List<MessageId> before = sendNumbers(3_000);
    List<MessageId> during = Collections.synchronizedList(new ArrayList<>());
    AtomicBoolean purged = new AtomicBoolean();
    CountDownLatch sending = new CountDownLatch(1);
    Thread sender =
        new Thread(
            () -> {
              while (!purged.get() || during.size() < 50) {
                during.addAll(queue.sendAll(List.of(Message.text("x"), Message.text("y"))));
                sending.countDown();
              }
            });
    Thread consumer =
        new Thread(
            () -> {
              while (!purged.get()) {
                queue.receive(17).forEach(PurgeTest::released);
              }
            });
    sender.start();
    consumer.start();
    sending.await();

    queue.purge();
    purged.set(true);
    sender.join();
    consumer.join();

    List<MessageId> left = ids(queue.receive(upTo(10_000)));
    assertThat(left).isSubsetOf(during).doesNotContainAnyElementsOf(before);
    // Sent after the purge had ended, at the latest.
    assertThat(left).contains(during.get(during.size() - 1));
  }

  /** Purged meanwhile or not: a consumer is told, and goes on. */
  private static boolean released(Delivery delivery) {
    try {
      delivery.release();
      return true;
    } catch (LeaseLostException e) {
      return false;
    }
  }

  @Test
  void of_a_lease_that_holds_older_and_newer_messages_the_newer_ones_stay() {
    List<MessageId> ids = sendNumbers(6);
    List<Delivery> held = queue.receive(6);

    long removed =
        library().run(session -> PurgeStore.inFlight(session, queueId(), ids.get(2).value(), 500));

    assertThat(removed).isEqualTo(3);
    assertThat(queue.stats().inFlight()).isEqualTo(3);
    queue.ackAll(held.subList(3, 6));
    assertThat(count("message")).isZero();
  }

  @Test
  void of_a_run_that_holds_older_and_newer_messages_the_newer_ones_stay_in_their_place() {
    List<MessageId> ids = sendNumbers(6);
    sendAll("after");

    long removed =
        library().run(session -> PurgeStore.ready(session, queueId(), ids.get(2).value(), 500));

    assertThat(removed).isEqualTo(3);
    assertThat(texts(queue.receive(10))).containsExactly("3", "4", "5", "after");
  }

  private int queueId() {
    return (int) database.number("SELECT id FROM trunkline.queue WHERE name = 'orders'");
  }
}
