package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.TrunklineConfig;
import dev.trunkline.event.ActiveConsumer;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class SingleActiveConsumerTest extends QueueFixture {
  private static final QueueConfig SINGLE = CONFIG.withSingleActiveConsumer();

  private final List<String> handled = new CopyOnWriteArrayList<>();

  @BeforeEach
  void only_one() {
    queue = altered(SINGLE);
  }

  private Consumer consume(Queue from, String name, ConsumerConfig config) {
    return from.consume(
        config,
        delivery -> {
          handled.add(name + delivery.message().text());
          return Outcome.ack();
        });
  }

  private static ConsumerConfig one() {
    return handlers(1);
  }

  @Test
  void one_consumer_of_all_processes_gets_everything_and_after_its_close_another_at_once() {
    TrunklineConfig seldom =
        OPENED.withHeartbeatTimeout(Duration.ofMinutes(1)).withPollInterval(Duration.ofSeconds(10));
    queue = open(seldom).queue("orders");
    Queue elsewhere = open(seldom).queue("orders");
    Consumer first = consume(queue, "first-", one());
    Awaits.until(first::isActive);
    Consumer second = consume(elsewhere, "second-", one());
    // They stand in their own time, and whoever stood first comes next.
    Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.candidate") == 2);
    Consumer third = consume(queue, "third-", one());
    Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.candidate") == 3);
    sendNumbers(100);
    Awaits.until(() -> handled.size() == 100);
    assertThat(handled).allMatch(text -> text.startsWith("first-"));
    assertThat(second.isActive() || third.isActive()).isFalse();

    long begin = System.nanoTime();
    first.close();
    Awaits.until(second::isActive);

    // Well before it would look by itself.
    assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(5));
    assertThat(first.isActive()).isFalse();
    sendNumbers(100);
    Awaits.until(() -> handled.size() == 200);
    assertThat(handled.subList(100, 200)).allMatch(text -> text.startsWith("second-"));
    second.close();
    third.close();
  }

  @Test
  void messages_come_in_the_order_of_sending_over_a_change_of_the_active_consumer() {
    Queue elsewhere = open(OPENED).queue("orders");
    Consumer first = consume(queue, "", one().withPrefetch(1));
    Consumer second = consume(elsewhere, "", one().withPrefetch(1));
    sendNumbers(400);
    Awaits.until(() -> handled.size() > 50);

    first.close();
    Awaits.until(() -> handled.size() >= 400);

    second.close();
    assertThat(handled).hasSize(400);
  }

  @Test
  void the_highest_priority_takes_over_whoever_came_first() {
    Queue elsewhere = open(OPENED).queue("orders");
    Consumer active = consume(queue, "active-", one().withTakeoverPriority(100));
    Awaits.until(active::isActive);
    Consumer low = consume(queue, "low-", one());
    Consumer high = consume(elsewhere, "high-", one().withTakeoverPriority(5));

    active.close();

    Awaits.until(high::isActive);
    assertThat(low.isActive()).isFalse();
    low.close();
    high.close();
  }

  @Test
  void a_consumer_with_a_higher_priority_takes_over_once_the_active_one_has_finished()
      throws InterruptedException {
    CountDownLatch finish = new CountDownLatch(1);
    CountDownLatch begun = new CountDownLatch(1);
    AtomicBoolean overlapped = new AtomicBoolean();
    AtomicInteger running = new AtomicInteger();
    Consumer low =
        queue.consume(
            one().withPrefetch(1),
            delivery -> {
              running.incrementAndGet();
              begun.countDown();
              finish.await();
              running.decrementAndGet();
              return Outcome.ack();
            });
    Awaits.until(low::isActive);
    sendNumbers(5);
    begun.await();
    Consumer high =
        open(OPENED)
            .queue("orders")
            .consume(
                one().withTakeoverPriority(1),
                delivery -> {
                  overlapped.compareAndSet(false, running.get() > 0);
                  handled.add(delivery.message().text());
                  return Outcome.ack();
                });
    Awaits.await()
        .during(Duration.ofMillis(200))
        .until(() -> !high.isActive() && handled.isEmpty());

    finish.countDown();

    Awaits.until(() -> handled.size() == 4 && high.isActive());
    assertThat(low.isActive()).isFalse();
    assertThat(overlapped).isFalse();
    high.close();
    Awaits.until(low::isActive);
    low.close();
  }

  @Test
  void a_listener_is_told_when_its_consumer_becomes_active_and_when_it_no_longer_is() {
    List<ActiveConsumer> events = new CopyOnWriteArrayList<>();
    TrunklineConfig listening =
        OPENED.withListener(
            new TrunklineListener() {
              @Override
              public void activeConsumer(ActiveConsumer event) {
                events.add(event);
              }
            });
    Consumer before = consume(queue, "before-", one());
    Awaits.until(before::isActive);
    Consumer consumer = consume(open(listening).queue("orders"), "", one());
    assertThat(events).isEmpty();

    before.close();
    Awaits.until(consumer::isActive);
    consumer.close();

    assertThat(events)
        .extracting(ActiveConsumer::queue, ActiveConsumer::active)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple("orders", true),
            org.assertj.core.groups.Tuple.tuple("orders", false));
    assertThat(events.get(0).epoch()).isGreaterThan(1).isEqualTo(events.get(1).epoch());
  }

  @Test
  void one_whose_process_was_declared_dead_claims_and_settles_nothing_more_and_stands_again()
      throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    Consumer stale =
        queue.consume(
            one().withPrefetch(1),
            delivery -> {
              begun.countDown();
              finish.await();
              handled.add("stale-" + delivery.message().text());
              return Outcome.ack();
            });
    Awaits.until(stale::isActive);
    sendNumbers(3);
    begun.await();
    Consumer next = consume(open(OPENED).queue("orders"), "next-", one());

    declareDead();

    Awaits.until(() -> handled.containsAll(List.of("next-0", "next-1", "next-2")));
    finish.countDown();
    Awaits.until(() -> handled.contains("stale-0"));
    sendNumbers(3);
    Awaits.until(() -> handled.size() == 7);
    assertThat(handled.stream().filter(text -> text.startsWith("stale-"))).hasSize(1);
    next.close();
    Awaits.until(stale::isActive);
    stale.close();
    assertThat(queue.stats().acked()).isEqualTo(6);
  }

  /** As the reaper of another process would do it after a silence. */
  private void declareDead() {
    long dead = database.number("SELECT min(consumer_id) FROM trunkline.candidate");
    reaper().releaseAllOf(dead);
    database.execute("DELETE FROM trunkline.heartbeat WHERE consumer_id = " + dead);
    database.execute("DELETE FROM trunkline.consumer WHERE id = " + dead);
  }

  @Test
  void nothing_can_be_received_from_a_queue_for_a_single_active_consumer() {
    assertThatThrownBy(() -> queue.receive(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("orders")
        .hasMessageContaining("single active consumer");
    assertThatThrownBy(() -> queue.receiveAndDelete(1)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void transactional_and_at_most_once_consumers_take_their_turn_as_well() {
    Consumer deleting =
        queue.consumeAtMostOnce(one(), message -> handled.add("d" + message.message().text()));
    Awaits.until(deleting::isActive);
    Consumer transactional =
        queue.consumeTransactionally(
            one(),
            (delivery, connection) -> {
              handled.add("t" + delivery.message().text());
              return Outcome.ack();
            });
    sendNumbers(2);
    Awaits.until(() -> handled.equals(List.of("d0", "d1")));

    deleting.close();
    sendNumbers(2);

    Awaits.until(() -> handled.equals(List.of("d0", "d1", "t0", "t1")));
    transactional.close();
  }

  @Test
  void with_notifications_off_the_place_is_found_free_by_looking() {
    TrunklineConfig silent =
        OPENED.withNotifyMode(NotifyMode.OFF).withPollInterval(Duration.ofMillis(50));
    Consumer first = consume(open(silent).queue("orders"), "", one());
    Awaits.until(first::isActive);
    Consumer second = consume(open(silent).queue("orders"), "", one());

    first.close();

    Awaits.until(second::isActive);
    second.close();
    assertThat(database.number("SELECT count(*) FROM trunkline.candidate")).isZero();
  }
}
