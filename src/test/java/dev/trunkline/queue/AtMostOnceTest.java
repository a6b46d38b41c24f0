package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class AtMostOnceTest extends QueueFixture {

  @Test
  void what_is_received_is_deleted_and_arrives_as_it_was_sent() {
    Message sent =
        Message.text("größer")
            .withKey("k")
            .withType("t")
            .withHeaders(Map.of("a", "b", "c", "{\\}"))
            .withPriority(3);
    MessageId id = queue.send(sent);

    List<ReceivedMessage> received = queue.receiveAndDelete(10);

    assertThat(received).hasSize(1);
    ReceivedMessage message = received.get(0);
    assertThat(message.queue()).isEqualTo("orders");
    assertThat(message.id()).isEqualTo(id);
    assertThat(message.isRedelivered()).isFalse();
    assertThat(message.message().text()).isEqualTo("größer");
    assertThat(message.message().key()).contains("k");
    assertThat(message.message().type()).contains("t");
    assertThat(message.message().headers()).isEqualTo(sent.headers());
    assertThat(message.message().priority()).isEqualTo(3);
    assertThat(message.toString()).doesNotContain("größer");
    assertThat(count("message") + count("lease")).isZero();
    assertThat(queue.stats().acked()).isEqualTo(1);
    assertThat(expireAll()).isZero();
    assertThat(queue.receiveAndDelete(1)).isEmpty();
  }

  @Test
  void messages_come_in_order_by_priority_and_runs_are_split() {
    queue.sendAll(
        IntStream.range(0, 50).mapToObj(i -> Message.text("m" + i).withPriority(i % 2)).toList());
    List<String> texts = new ArrayList<>();
    for (List<ReceivedMessage> some = queue.receiveAndDelete(7);
        !some.isEmpty();
        some = queue.receiveAndDelete(7)) {
      some.forEach(message -> texts.add(message.message().text()));
    }
    List<String> expected = new ArrayList<>();
    IntStream.range(0, 50).filter(i -> i % 2 == 1).forEach(i -> expected.add("m" + i));
    IntStream.range(0, 50).filter(i -> i % 2 == 0).forEach(i -> expected.add("m" + i));
    assertThat(texts).isEqualTo(expected);
  }

  @Test
  void a_long_poll_returns_when_something_is_sent() throws Exception {
    List<ReceivedMessage> received = new CopyOnWriteArrayList<>();
    Thread poller = new Thread(() -> received.addAll(queue.receiveAndDelete(waiting(PATIENCE))));
    poller.start();
    send("late");
    poller.join(PATIENCE.toMillis());
    assertThat(received).hasSize(1);
  }

  @Test
  void a_paused_queue_gives_nothing() {
    send("kept");
    queue.pause();
    assertThat(queue.receiveAndDelete(1)).isEmpty();
    queue.resume();
    assertThat(queue.receiveAndDelete(1)).hasSize(1);
  }

  @Test
  void what_came_back_from_another_consumer_says_so() {
    send("twice");
    receiveOne().retry();
    assertThat(queue.receiveAndDelete(1).get(0).isRedelivered()).isTrue();
  }

  @Test
  void each_message_is_handled_once_by_one_of_many_consumers() throws Exception {
    int messages = 3_000;
    List<Long> handled = new CopyOnWriteArrayList<>();
    Queue elsewhere = open(OPENED).queue("orders");
    CountDownLatch all = new CountDownLatch(messages);
    AtMostOnceHandler handler =
        message -> {
          handled.add(message.id().value());
          all.countDown();
        };
    try (Consumer here = queue.consumeAtMostOnce(handlers(4), handler);
        Consumer there = elsewhere.consumeAtMostOnce(handlers(4), handler)) {
      for (int batch = 0; batch < 30; batch++) {
        sendNumbers(messages / 30);
      }
      assertThat(all.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    }
    assertThat(handled).hasSize(messages).doesNotHaveDuplicates();
    assertThat(count("message")).isZero();
  }

  @Test
  void a_handler_that_fails_has_lost_its_message_and_goes_on_with_the_next() {
    List<String> handled = new CopyOnWriteArrayList<>();
    sendAll("bad", "good");
    try (Consumer consumer =
        queue.consumeAtMostOnce(
            handlers(1),
            message -> {
              handled.add(message.message().text());
              if (message.message().text().equals("bad")) {
                throw new IllegalStateException("bad");
              }
            })) {
      Awaits.until(() -> handled.contains("good"));
    }
    assertThat(handled).containsExactly("bad", "good");
    assertThat(queue.stats())
        .returns(0L, QueueStats::ready)
        .returns(0L, QueueStats::scheduled)
        .returns(0L, QueueStats::dead)
        .returns(2L, QueueStats::acked);
  }

  @Test
  void a_consumer_that_closes_handles_what_it_has_claimed() throws Exception {
    List<String> handled = new CopyOnWriteArrayList<>();
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    sendNumbers(20);
    Consumer consumer =
        queue.consumeAtMostOnce(
            handlers(1).withPrefetch(20),
            message -> {
              running.countDown();
              finish.await();
              handled.add(message.message().text());
            });
    running.await();
    long claimed = queue.stats().acked();
    Thread closer = new Thread(consumer::close);
    closer.start();
    Awaits.until(consumer::isClosed);
    finish.countDown();
    closer.join(PATIENCE.toMillis());

    assertThat(handled).hasSize((int) queue.stats().acked());
    assertThat(queue.stats().acked()).isGreaterThanOrEqualTo(claimed);
    assertThat(queue.stats().ready()).isEqualTo(20 - handled.size());
    queue.purge();
  }

  @Test
  void what_is_not_handled_in_time_is_lost_and_not_more_than_was_claimed() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    sendNumbers(20);
    Consumer consumer =
        queue.consumeAtMostOnce(
            handlers(1).withPrefetch(2),
            message -> {
              running.countDown();
              new CountDownLatch(1).await();
            });
    running.await();
    consumer.close(Duration.ofMillis(50));

    assertThat(queue.stats().ready()).isGreaterThanOrEqualTo(18);
    assertThat(queue.stats().inFlight()).isZero();
    queue.purge();
  }

  @Test
  void a_visibility_timeout_and_retries_are_refused_where_nothing_is_hidden_or_retried() {
    assertThatThrownBy(
            () ->
                queue.receiveAndDelete(
                    ReceiveOptions.defaults().withVisibilityTimeout(Duration.ofMinutes(1))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("visibilityTimeout")
        .hasMessageContaining("PT1M");
    assertThatThrownBy(
            () ->
                queue.consumeAtMostOnce(
                    handlers(1).withVisibilityTimeout(Duration.ofMinutes(1)), message -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("PT1M");
    assertThatThrownBy(
            () ->
                queue.consumeAtMostOnce(
                    handlers(1).withNonRetryable(Set.of(IllegalStateException.class)),
                    message -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("nonRetryable");
  }
}
