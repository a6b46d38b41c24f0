package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class SettleTest extends QueueFixture {
  private static final List<Consumer<Delivery>> WAYS =
      List.of(
          Delivery::ack,
          Delivery::retry,
          delivery -> delivery.retry(Duration.ofHours(1)),
          Delivery::release,
          delivery -> delivery.deadLetter("late"),
          delivery -> delivery.settle(Outcome.release(Duration.ofHours(1))),
          delivery -> delivery.extend(Duration.ofHours(1)));

  @Test
  void an_acked_message_is_gone() {
    send("a");

    receiveOne().ack();

    assertThat(count("message")).isZero();
    assertThat(count("lease")).isZero();
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void an_ack_of_the_rest_spares_what_a_crash_of_the_server_has_put_back_into_the_lease() {
    sendAll("retried", "acked");
    List<Delivery> batch = queue.receive(2);
    batch.get(0).retry(Duration.ZERO);
    undoTheRetryOf(batch.get(0));

    batch.get(1).ack();

    assertThat(queue.peek(10)).isEmpty();
    assertThat(expireAll()).isEqualTo(1);
    assertThat(texts(queue.receive(10))).containsExactly("retried");
  }

  /** As if its commit, which does not wait for the disk, had not reached it. */
  private void undoTheRetryOf(Delivery retried) {
    database.execute(
        """
        DELETE FROM trunkline.ready WHERE ids = ARRAY[%1$d::bigint];
        UPDATE trunkline.lease
        SET ids = ids || %1$d::bigint, deliveries = deliveries || 0, acquired = acquired || 1;
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, in_flight)
        SELECT queue_id, -octet_length(payload), -1, 1 FROM trunkline.message WHERE id = %1$d
        """
            .formatted(retried.id().value()));
  }

  @Test
  void a_retried_message_comes_back_after_the_delay_that_was_asked_for() {
    send("a");
    Instant before = databaseNow();

    receiveOne().retry(Duration.ofMinutes(10));

    assertThat(queue.receive(10)).isEmpty();
    PeekedMessage waiting = queue.peek(MessageState.SCHEDULED, 10).get(0);
    assertThat(waiting.deliveries()).isEqualTo(1);
    assertThat(waiting.until().orElseThrow())
        .isBetween(before.plusSeconds(600), databaseNow().plusSeconds(600));
    promoteAll();
    assertThat(receiveOne().attempt()).isEqualTo(2);
  }

  @Test
  void a_retry_without_delay_is_ready_at_once() {
    altered(CONFIG.withRetryPolicy(dev.trunkline.retry.RetryPolicy.defaults()));
    send("a");

    receiveOne().retry(Duration.ZERO);

    assertThat(receiveOne().attempt()).isEqualTo(2);
  }

  @Test
  void a_released_message_may_wait_too_and_has_burnt_no_attempt() {
    send("a");

    receiveOne().settle(Outcome.release(Duration.ofMinutes(10)));

    assertThat(queue.peek(MessageState.SCHEDULED, 10))
        .singleElement()
        .satisfies(
            message -> {
              assertThat(message.deliveries()).isZero();
              assertThat(message.acquired()).isEqualTo(1);
            });
    promoteAll();
    Delivery again = receiveOne();
    assertThat(again.attempt()).isEqualTo(1);
    assertThat(again.acquired()).isEqualTo(2);
  }

  @Test
  void release_never_leads_to_the_dead_letters() {
    send("a");
    for (int i = 1; i <= 20; i++) {
      Delivery delivery = receiveOne();
      assertThat(delivery.attempt()).isEqualTo(1);
      assertThat(delivery.acquired()).isEqualTo(i);
      delivery.release();
    }
    assertThat(queue.stats().dead()).isZero();
  }

  @Test
  void a_rejected_message_is_dead_with_the_detail_even_one_that_a_text_cannot_hold() {
    send("a");

    receiveOne().deadLetter("no\0such customer");

    assertThat(queue.deadLetters().browse(10))
        .singleElement()
        .satisfies(
            letter -> {
              assertThat(letter.reason()).isEqualTo(DeathReason.REJECTED);
              assertThat(letter.detail()).contains("no\\0such customer");
              assertThat(letter.error()).isEmpty();
            });
  }

  @Test
  void two_counters_tell_attempts_from_claims() {
    send("a");
    assertThat(counts(receiveOne())).isEqualTo("1/1/false");
    expireAll();
    Delivery second = receiveOne();
    assertThat(counts(second)).isEqualTo("2/2/true");
    second.release();
    Delivery third = receiveOne();
    assertThat(counts(third)).isEqualTo("2/3/true");
    third.retry();
    Delivery fourth = receiveOne();
    assertThat(counts(fourth)).isEqualTo("3/4/true");
    fourth.deadLetter("enough");
    queue.deadLetters().replayAll();
    assertThat(counts(receiveOne())).isEqualTo("1/1/false");
  }

  @Test
  void expired_lease_becomes_visible_again_and_the_late_ack_is_refused() {
    send("a");
    Delivery late = receiveOne();

    expireAll();

    assertThat(receiveOne().attempt()).isEqualTo(2);
    LeaseLostException lost = catchThrowableOfType(LeaseLostException.class, late::ack);
    assertThat(lost.queue()).isEqualTo("orders");
    assertThat(lost.messageId()).isEqualTo(late.id().value());
    assertThat(lost).hasMessageContaining(late.id().toString()).hasMessageContaining("orders");
    assertThat(count("message")).isEqualTo(1);
  }

  @Test
  void nothing_can_be_done_with_a_delivery_that_was_taken_back() {
    for (Consumer<Delivery> way : WAYS) {
      send("a");
      Delivery late = receiveOne();
      expireAll();

      assertThatThrownBy(() -> way.accept(late)).isInstanceOf(LeaseLostException.class);

      assertThat(count("ready")).isEqualTo(1);
      receiveOne().ack();
    }
    assertThat(count("dead_letter")).isZero();
  }

  @Test
  void nothing_can_be_done_with_a_delivery_that_was_purged() {
    for (Consumer<Delivery> way : WAYS) {
      send("a");
      Delivery purged = receiveOne();
      queue.purge();

      assertThatThrownBy(() -> way.accept(purged)).isInstanceOf(LeaseLostException.class);

      assertThat(count("message")).isZero();
    }
    assertThat(count("dead_letter")).isZero();
  }

  @Test
  void nothing_can_be_done_twice() {
    for (Consumer<Delivery> first : WAYS.subList(0, 6)) {
      send("a");
      Delivery delivery = receiveOne();
      first.accept(delivery);
      long ready = count("ready");
      long scheduled = count("scheduled");

      for (Consumer<Delivery> second : WAYS) {
        assertThatThrownBy(() -> second.accept(delivery)).isInstanceOf(LeaseLostException.class);
      }

      assertThat(count("ready")).isEqualTo(ready);
      assertThat(count("scheduled")).isEqualTo(scheduled);
      queue.purge();
    }
  }

  @Test
  void some_of_a_batch_are_settled_and_the_others_stay_held() {
    sendAll("a", "b", "c", "d", "e", "f");
    List<Delivery> batch = queue.receive(6);

    batch.get(1).ack();
    batch.get(3).retry();
    batch.get(5).deadLetter("no");

    assertThat(queue.stats().inFlight()).isEqualTo(3);
    assertThat(queue.peek(MessageState.IN_FLIGHT, 10))
        .extracting(message -> message.message().text())
        .containsExactly("a", "c", "e");
    expireAll();
    assertThat(texts(queue.receive(10))).containsExactly("d", "a", "c", "e");
    assertThatThrownBy(batch.get(0)::ack).isInstanceOf(LeaseLostException.class);
  }

  @Test
  void many_are_acked_together_and_what_was_lost_is_told_after_the_rest() {
    sendNumbers(50);
    List<Delivery> lost = queue.receive(10);
    expireAll();
    List<Delivery> held = queue.receive(upTo(40));
    List<Delivery> all = new java.util.ArrayList<>(lost);
    all.addAll(held);

    assertThatThrownBy(() -> queue.ackAll(all))
        .isInstanceOf(LeaseLostException.class)
        .hasMessageContaining(lost.get(0).id().toString());

    assertThat(queue.stats().acked()).isEqualTo(40);
    assertThat(queue.stats().ready()).isEqualTo(10);
  }

  @Test
  void acking_nothing_together_does_nothing() {
    assertThatCode(() -> queue.ackAll(List.of())).doesNotThrowAnyException();
  }

  @Test
  void two_halves_of_a_batch_may_be_settled_by_two_threads() throws InterruptedException {
    for (int round = 0; round < 20; round++) {
      sendNumbers(10);
      List<Delivery> batch = queue.receive(10);
      Thread other = new Thread(() -> queue.ackAll(batch.subList(0, 5)));
      other.start();
      queue.ackAll(batch.subList(5, 10));
      other.join();

      assertThat(count("message")).isZero();
      assertThat(count("lease")).isZero();
    }
  }

  private static String counts(Delivery delivery) {
    return delivery.attempt() + "/" + delivery.acquired() + "/" + delivery.isRedelivered();
  }

  private Instant databaseNow() {
    return Instant.ofEpochMilli(
        database.number("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"));
  }
}
