package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.retry.Jitter;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class RetryLimitTest extends QueueFixture {

  @Test
  void the_last_failure_makes_a_message_dead() {
    altered(CONFIG.withMaxDeliveries(2));
    send("a");

    receiveOne().retry();
    receiveOne().retry(Duration.ofHours(1));

    assertThat(count("message")).isZero();
    DeadLetter letter = queue.deadLetters().browse(1).get(0);
    assertThat(letter.reason()).isEqualTo(DeathReason.DELIVERY_LIMIT);
    assertThat(letter.deliveries()).isEqualTo(2);
    assertThat(letter.error()).isEmpty();
  }

  @Test
  void the_last_expiry_makes_a_message_dead_and_says_so() {
    altered(CONFIG.withMaxDeliveries(2));
    send("a");

    receiveOne();
    expireAll();
    assertThat(receiveOne().attempt()).isEqualTo(2);
    expireAll();

    assertThat(count("message")).isZero();
    DeadLetter letter = queue.deadLetters().browse(1).get(0);
    assertThat(letter.reason()).isEqualTo(DeathReason.LEASE_EXPIRED);
    assertThat(letter.deliveries()).isEqualTo(2);
    assertThat(letter.acquired()).isEqualTo(2);
  }

  @Test
  void failures_and_expiries_count_together_and_the_last_one_names_the_reason() {
    altered(CONFIG.withMaxDeliveries(3));
    sendAll("expires last", "fails last");
    queue.receive(10).forEach(Delivery::retry);
    queue.receive(10);
    expireAll();

    for (Delivery delivery : queue.receive(10)) {
      if (delivery.message().text().equals("fails last")) {
        delivery.retry();
      }
    }
    expireAll();

    assertThat(queue.deadLetters().browse(10))
        .extracting(letter -> letter.message().text() + " " + letter.reason())
        .containsExactlyInAnyOrder("expires last LEASE_EXPIRED", "fails last DELIVERY_LIMIT");
  }

  @Test
  void a_batch_that_expires_is_sorted_message_by_message() {
    altered(CONFIG.withMaxDeliveries(2));
    sendAll("once failed", "fresh");
    queue.receive(1).get(0).retry();
    assertThat(queue.receive(10)).hasSize(2);

    expireAll();

    assertThat(queue.deadLetters().browse(10))
        .extracting(letter -> letter.message().text())
        .containsExactly("once failed");
    assertThat(texts(queue.receive(10))).containsExactly("fresh");
  }

  @Test
  void a_limit_of_one_means_never_again() {
    altered(CONFIG.withMaxDeliveries(1));
    send("a");

    receiveOne().retry();

    assertThat(queue.stats().dead()).isEqualTo(1);
  }

  @Test
  void without_a_limit_a_message_is_never_dead() {
    altered(CONFIG.withMaxDeliveries(RetryPolicy.UNLIMITED));
    send("a");

    for (int i = 1; i <= 40; i++) {
      Delivery delivery = receiveOne();
      assertThat(delivery.attempt()).isEqualTo(i);
      if (i % 2 == 0) {
        delivery.retry();
      } else {
        expireAll();
      }
    }

    assertThat(queue.stats().dead()).isZero();
    assertThat(queue.stats().ready()).isEqualTo(1);
  }

  @Test
  void delays_grow_from_failure_to_failure_and_stop_at_the_cap() {
    altered(
        CONFIG
            .withMaxDeliveries(RetryPolicy.UNLIMITED)
            .withRetryPolicy(
                RetryPolicy.defaults()
                    .withMaxDeliveries(RetryPolicy.UNLIMITED)
                    .withDelays(Duration.ofSeconds(10), Duration.ofSeconds(60))
                    .withJitter(Jitter.NONE)));
    send("a");

    for (long seconds : List.of(10L, 20L, 40L, 60L, 60L)) {
      receiveOne().retry();
      assertThat(secondsUntilDue()).isBetween(seconds - 5, seconds);
      promoteAll();
    }
  }

  @Test
  void expiries_back_off_like_failures() {
    altered(
        CONFIG.withRetryPolicy(
            RetryPolicy.defaults()
                .withDelays(Duration.ofSeconds(100), Duration.ofSeconds(1000))
                .withJitter(Jitter.NONE)));
    send("a");

    receiveOne();
    expireAll();
    assertThat(secondsUntilDue()).isBetween(90L, 100L);
    promoteAll();
    receiveOne();
    expireAll();

    assertThat(secondsUntilDue()).isBetween(190L, 200L);
  }

  @Test
  void an_altered_policy_is_obeyed_by_a_process_that_knows_the_old_one() {
    Trunkline other = open(OPENED);
    send("a");
    Delivery held = receiveOne();

    other.alterQueue("orders", CONFIG.withMaxDeliveries(1));
    held.retry();

    assertThat(queue.config().retryPolicy().maxDeliveries()).isEqualTo(5);
    assertThat(queue.stats().dead()).isEqualTo(1);
  }

  @Test
  void an_altered_policy_counts_for_expiries_too() {
    send("a");
    receiveOne();

    open(OPENED).alterQueue("orders", CONFIG.withMaxDeliveries(1));
    expireAll();

    assertThat(queue.deadLetters().browse(1).get(0).reason()).isEqualTo(DeathReason.LEASE_EXPIRED);
  }

  @Test
  void an_altered_visibility_timeout_is_obeyed_by_a_process_that_knows_the_old_one() {
    open(OPENED).alterQueue("orders", CONFIG.withVisibilityTimeout(Duration.ofHours(2)));
    send("a");

    receiveOne();

    assertThat(secondsUntilVisible()).isBetween(7_100L, 7_200L);
  }

  private long secondsUntilDue() {
    return database.number(
        "SELECT extract(epoch FROM due_at - clock_timestamp())::bigint FROM trunkline.scheduled");
  }

  private long secondsUntilVisible() {
    return database.number(
        "SELECT extract(epoch FROM visible_at - clock_timestamp())::bigint FROM trunkline.lease");
  }
}
