package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class VisibilityTest extends QueueFixture {
  private static final Duration SHORT = Duration.ofSeconds(1);

  @Test
  void a_delivery_is_hidden_for_as_long_as_the_queue_says() {
    altered(CONFIG.withVisibilityTimeout(Duration.ofMinutes(7)));
    send("a");
    receiveOne();

    assertThat(reaper().reapExpired(Instant.now().plusSeconds(400))).isZero();
    assertThat(queue.receive(10)).isEmpty();
    assertThat(reaper().reapExpired(Instant.now().plusSeconds(440))).isEqualTo(1);
    assertThat(receiveOne().attempt()).isEqualTo(2);
  }

  @Test
  void a_receive_may_hide_for_longer_or_shorter_than_the_queue_says() {
    sendAll("short", "long");
    queue.receive(upTo(1).withVisibilityTimeout(Duration.ofSeconds(20)));
    queue.receive(upTo(1).withVisibilityTimeout(Duration.ofHours(12)));

    assertThat(reaper().reapExpired(Instant.now().plusSeconds(25))).isEqualTo(1);
    assertThat(texts(queue.receive(10))).containsExactly("short");
    assertThat(reaper().reapExpired(Instant.now().plus(Duration.ofHours(13)))).isEqualTo(2);
  }

  @Test
  void a_pulled_delivery_comes_back_by_itself() {
    send("a");
    queue.receive(upTo(1).withVisibilityTimeout(SHORT));

    List<Delivery> again = queue.receive(waiting(PATIENCE));

    assertThat(again).hasSize(1);
    assertThat(again.get(0).attempt()).isEqualTo(2);
  }

  @Test
  void extending_one_of_a_batch_leaves_the_others_their_time() {
    sendAll("a", "b", "c");
    List<Delivery> batch = queue.receive(3);

    batch.get(1).extend(Duration.ofHours(2));
    assertThat(reaper().reapExpired(Instant.now().plusSeconds(3600))).isEqualTo(1);

    assertThat(texts(queue.receive(10))).containsExactly("a", "c");
    batch.get(1).ack();
    assertThatThrownBy(batch.get(0)::ack).isInstanceOf(LeaseLostException.class);
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void an_extended_delivery_keeps_its_counts() {
    sendAll("a", "b");
    queue.receive(2).forEach(Delivery::retry);
    List<Delivery> batch = queue.receive(2);

    batch.get(0).extend(Duration.ofHours(1));
    batch.get(0).release();

    Delivery again = receiveOne();
    assertThat(again.attempt()).isEqualTo(2);
    assertThat(again.acquired()).isEqualTo(3);
  }

  @Test
  void extending_counts_from_now_and_may_shorten() {
    send("a");
    Delivery delivery = receiveOne();

    delivery.extend(Duration.ofHours(5));
    assertThat(reaper().reapExpired(Instant.now().plus(Duration.ofHours(4)))).isZero();
    delivery.extend(Duration.ofSeconds(20));

    assertThat(reaper().reapExpired(Instant.now().plusSeconds(30))).isEqualTo(1);
    assertThatThrownBy(() -> delivery.extend(Duration.ofSeconds(10)))
        .isInstanceOf(LeaseLostException.class);
    assertThat(delivery.isLeaseLost()).isTrue();
  }

  @Test
  void each_of_a_batch_may_be_extended_and_all_be_acked_together() {
    sendNumbers(5);
    List<Delivery> batch = queue.receive(5);

    batch.forEach(delivery -> delivery.extend(Duration.ofHours(2)));
    assertThat(reaper().reapExpired(Instant.now().plusSeconds(3600))).isZero();
    queue.ackAll(batch);

    assertThat(count("message")).isZero();
    assertThat(count("lease")).isZero();
  }

  @Test
  void what_runs_and_what_is_prefetched_is_renewed_for_as_long_as_it_takes() throws Exception {
    sendNumbers(4);
    List<String> handled = new CopyOnWriteArrayList<>();
    CountDownLatch first = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    Consumer consumer =
        queue.consume(
            handlers(1).withPrefetch(10).withVisibilityTimeout(SHORT),
            delivery -> {
              handled.add(delivery.message().text() + "/" + delivery.acquired());
              first.countDown();
              finish.await();
              return Outcome.ack();
            });
    try {
      first.await();
      Instant end = Instant.now().plus(SHORT.multipliedBy(3));
      Awaits.until(() -> Instant.now().isAfter(end));
      assertThat(handled).hasSize(1);
      finish.countDown();
      Awaits.until(() -> count("message") == 0);
    } finally {
      finish.countDown();
      consumer.close();
    }

    assertThat(handled).containsExactly("0/1", "1/1", "2/1", "3/1");
    assertThat(queue.stats().acked()).isEqualTo(4);
  }

  @Test
  void a_handler_that_asks_for_less_time_is_renewed_in_less_time() {
    send("a");
    AtomicInteger calls = new AtomicInteger();

    consumeUntil(
        handlers(1).withVisibilityTimeout(Duration.ofSeconds(10)),
        delivery -> {
          calls.incrementAndGet();
          delivery.extend(SHORT);
          new CountDownLatch(1).await(3 * SHORT.toMillis(), TimeUnit.MILLISECONDS);
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(calls).hasValue(1);
  }

  @Test
  void one_of_a_batch_that_its_handler_extends_is_renewed_with_the_rest() {
    sendNumbers(3);
    List<String> handled = new CopyOnWriteArrayList<>();

    consumeUntil(
        handlers(3).withVisibilityTimeout(SHORT),
        delivery -> {
          handled.add(delivery.message().text());
          delivery.extend(SHORT.plusMillis(100));
          new CountDownLatch(1).await(3 * SHORT.toMillis(), TimeUnit.MILLISECONDS);
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(handled).containsExactlyInAnyOrder("0", "1", "2");
  }

  @Test
  void a_handler_that_takes_longer_than_may_be_renewed_loses_its_message() throws Exception {
    send("a");
    CountDownLatch again = new CountDownLatch(2);
    AtomicBoolean refused = new AtomicBoolean();
    Consumer consumer =
        queue.consume(
            handlers(2).withVisibilityTimeout(SHORT).withMaxLeaseTime(Duration.ofMillis(1_500)),
            delivery -> {
              again.countDown();
              again.await();
              if (delivery.attempt() > 1) {
                return Outcome.ack();
              }
              try {
                delivery.ack();
              } catch (LeaseLostException e) {
                refused.set(true);
              }
              return Outcome.ack();
            });
    try {
      assertThat(again.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
      Awaits.until(() -> count("message") == 0 && refused.get());
    } finally {
      consumer.close();
    }
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void a_reaper_takes_back_many_leases_and_each_once() throws InterruptedException {
    sendNumbers(250);
    for (int i = 0; i < 250; i++) {
      assertThat(queue.receive(1)).hasSize(1);
    }
    int[] taken = new int[2];
    Thread other = new Thread(() -> taken[0] = expireAll());
    other.start();
    taken[1] = expireAll();
    other.join();

    assertThat(taken[0] + taken[1]).isEqualTo(250);
    assertThat(ids(queue.receive(upTo(1_000)))).hasSize(250).doesNotHaveDuplicates();
  }
}
