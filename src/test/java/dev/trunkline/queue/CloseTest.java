package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class CloseTest extends QueueFixture {

  /** A consumer whose handlers wait until they are let go, or are interrupted. */
  private final class Busy {
    final CountDownLatch begun;
    final CountDownLatch finish = new CountDownLatch(1);
    final AtomicInteger interrupted = new AtomicInteger();
    final Consumer consumer;

    Busy(ConsumerConfig config, int messages) {
      begun = new CountDownLatch(Math.min(config.concurrency(), messages));
      sendNumbers(messages);
      consumer =
          queue.consume(
              config,
              delivery -> {
                begun.countDown();
                try {
                  finish.await();
                } catch (InterruptedException e) {
                  interrupted.incrementAndGet();
                  throw e;
                }
                return Outcome.ack();
              });
      try {
        begun.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @Test
  void those_that_run_finish_and_those_that_wait_go_back_unharmed() throws Exception {
    Busy busy = new Busy(handlers(2).withPrefetch(20), 20);
    Thread closer = new Thread(busy.consumer::close);
    closer.start();
    Awaits.until(busy.consumer::isClosed);
    busy.finish.countDown();
    closer.join(PATIENCE.toMillis());

    assertThat(closer.isAlive()).isFalse();
    assertThat(queue.stats().acked()).isEqualTo(2);
    assertThat(count("lease")).isZero();
    assertThat(queue.peek(100))
        .hasSize(18)
        .allSatisfy(message -> assertThat(message.deliveries()).isZero());
  }

  @Test
  void nothing_more_is_claimed_once_it_closes() throws Exception {
    Busy busy = new Busy(handlers(1), 1);
    Thread closer = new Thread(busy.consumer::close);
    closer.start();
    Awaits.until(busy.consumer::isClosed);
    sendNumbers(10);
    busy.finish.countDown();
    closer.join();

    assertThat(queue.stats().ready()).isEqualTo(10);
    assertThat(queue.peek(10)).allSatisfy(message -> assertThat(message.acquired()).isZero());
  }

  @Test
  void those_that_run_for_too_long_are_interrupted_and_go_back_unharmed() {
    Busy busy = new Busy(handlers(3), 3);

    busy.consumer.close(Duration.ofMillis(100));

    Awaits.until(() -> busy.interrupted.get() == 3);
    assertThat(count("lease")).isZero();
    assertThat(queue.peek(10))
        .hasSize(3)
        .allSatisfy(
            message -> {
              assertThat(message.deliveries()).isZero();
              assertThat(message.acquired()).isEqualTo(1);
            });
  }

  @Test
  void closing_without_a_timeout_leaves_nothing_held_whatever_was_going_on() throws Exception {
    sendNumbers(2_000);
    for (int round = 0; round < 12; round++) {
      CountDownLatch some = new CountDownLatch(1 + round);
      Consumer consumer =
          queue.consume(
              handlers(4),
              delivery -> {
                some.countDown();
                return Outcome.ack();
              });
      some.await();
      consumer.close(Duration.ZERO);

      assertThat(count("lease")).as("round %d", round).isZero();
    }
  }

  @Test
  void what_a_handler_decided_before_the_close_is_carried_out() {
    sendAll("ack", "reject", "retry");
    CountDownLatch decided = new CountDownLatch(3);
    Consumer consumer =
        queue.consume(
            handlers(3).withShutdownTimeout(PATIENCE),
            delivery -> {
              decided.countDown();
              decided.await();
              return switch (delivery.message().text()) {
                case "ack" -> Outcome.ack();
                case "reject" -> Outcome.deadLetter("no");
                default -> Outcome.retry(Duration.ofHours(1));
              };
            });
    Awaits.until(() -> decided.getCount() == 0);
    consumer.close();

    assertThat(queue.stats())
        .satisfies(
            stats -> {
              assertThat(stats.acked()).isEqualTo(1);
              assertThat(stats.dead()).isEqualTo(1);
              assertThat(stats.scheduled()).isEqualTo(1);
              assertThat(stats.inFlight()).isZero();
            });
  }

  @Test
  void closing_twice_is_closing_once() {
    Consumer consumer = queue.consume(delivery -> Outcome.ack());

    consumer.close();

    assertThat(consumer.isClosed()).isTrue();
    assertThatCode(consumer::close).doesNotThrowAnyException();
    assertThatCode(() -> consumer.close(Duration.ZERO)).doesNotThrowAnyException();
  }

  @Test
  void who_closes_second_waits_for_who_closed_first() throws Exception {
    Busy busy = new Busy(handlers(1), 1);
    Thread first = new Thread(busy.consumer::close);
    first.start();
    Awaits.until(busy.consumer::isClosed);
    Thread second = new Thread(busy.consumer::close);
    second.start();
    Awaits.until(() -> second.getState() == Thread.State.WAITING);
    busy.finish.countDown();
    second.join(PATIENCE.toMillis());

    assertThat(second.isAlive()).isFalse();
    assertThat(queue.stats().acked()).isEqualTo(1);
    first.join();
  }

  @Test
  void closing_in_an_interrupted_thread_does_not_wait_and_leaves_the_flag() {
    Busy busy = new Busy(handlers(1), 5);

    Thread.currentThread().interrupt();
    long begin = System.nanoTime();
    busy.consumer.close(Duration.ofMinutes(10));

    assertThat(Thread.interrupted()).isTrue();
    assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(15));
    assertThat(count("lease")).isZero();
    assertThat(queue.stats().ready()).isEqualTo(5);
  }

  @Test
  void an_interrupt_while_it_closes_ends_the_waiting_and_leaves_the_flag() throws Exception {
    Busy busy = new Busy(handlers(1), 5);
    AtomicBoolean flag = new AtomicBoolean();
    Thread closer =
        new Thread(
            () -> {
              busy.consumer.close(Duration.ofMinutes(10));
              flag.set(Thread.currentThread().isInterrupted());
            });
    closer.start();
    Awaits.until(() -> queue.stats().ready() == 4);

    closer.interrupt();
    closer.join(PATIENCE.toMillis());

    assertThat(closer.isAlive()).isFalse();
    assertThat(flag).isTrue();
    assertThat(count("lease")).isZero();
  }

  @Test
  void a_shutdown_timeout_of_for_ever_is_allowed() {
    Busy busy = new Busy(handlers(1).withShutdownTimeout(ChronoUnit.FOREVER.getDuration()), 1);
    busy.finish.countDown();

    busy.consumer.close();

    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void a_handler_may_close_its_own_consumer_and_still_has_its_say() {
    sendAll("last", "not this one");
    AtomicReference<Consumer> self = new AtomicReference<>();
    CountDownLatch known = new CountDownLatch(1);
    AtomicInteger calls = new AtomicInteger();
    Consumer consumer =
        queue.consume(
            handlers(1).withPrefetch(10).withShutdownTimeout(Duration.ofMinutes(1)),
            delivery -> {
              calls.incrementAndGet();
              known.await();
              self.get().close();
              return Outcome.ack();
            });
    self.set(consumer);
    known.countDown();

    Awaits.await().atMost(Duration.ofSeconds(10)).until(() -> queue.stats().acked() == 1);
    consumer.close();

    assertThat(calls).hasValue(1);
    assertThat(texts(queue.receive(10))).containsExactly("not this one");
  }

  @Test
  void a_handler_may_close_the_trunkline_it_runs_in() {
    send("last");
    Trunkline other = open(OPENED);
    CountDownLatch closed = new CountDownLatch(1);
    other
        .queue("orders")
        .consume(
            handlers(2).withShutdownTimeout(Duration.ofMinutes(1)),
            delivery -> {
              other.close();
              closed.countDown();
              return Outcome.ack();
            });

    Awaits.await().atMost(Duration.ofSeconds(10)).until(() -> queue.stats().acked() == 1);
    Awaits.until(() -> count("consumer") == 1);
    assertThat(closed.getCount()).isZero();
  }

  @Test
  void closing_the_trunkline_closes_its_consumers_and_leaves_nothing_behind() throws Exception {
    Trunkline other = open(OPENED);
    Queue sameQueue = other.queue("orders");
    Queue second = other.queue("second", CONFIG);
    CountDownLatch begun = new CountDownLatch(2);
    Handler stubborn =
        delivery -> {
          begun.countDown();
          new CountDownLatch(1).await(PATIENCE.toSeconds(), TimeUnit.SECONDS);
          return Outcome.ack();
        };
    sendNumbers(10);
    second.send(Message.text("x"));
    Delivery pulled = sameQueue.receive(1).get(0);
    ConsumerConfig config = handlers(1).withShutdownTimeout(Duration.ofMillis(100));
    List<Consumer> consumers =
        List.of(sameQueue.consume(config, stubborn), second.consume(config, stubborn));
    begun.await();

    other.close();

    assertThat(consumers).allSatisfy(consumer -> assertThat(consumer.isClosed()).isTrue());
    assertThat(count("lease")).isZero();
    assertThat(count("consumer")).as("this test's own").isEqualTo(1);
    assertThat(queue.stats().ready()).isEqualTo(10);
    assertThat(queue.peek(10)).allSatisfy(m -> assertThat(m.deliveries()).isZero());
    assertThatThrownBy(pulled::ack).isInstanceOf(dev.trunkline.error.LeaseLostException.class);
    assertThatCode(other::close).doesNotThrowAnyException();
  }

  @Test
  void a_closed_trunkline_says_so() {
    Trunkline closed = open(OPENED);
    Queue stale = closed.queue("orders");
    closed.close();

    assertThatThrownBy(() -> stale.send(Message.text("a")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
    assertThatThrownBy(() -> stale.receive(1)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> stale.consume(delivery -> Outcome.ack()))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> closed.queue("orders")).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> closed.queue("new", CONFIG)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> closed.alterQueue("new", CONFIG))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(closed::queueNames).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void closing_the_trunkline_in_an_interrupted_thread_does_not_wait_and_leaves_the_flag_only() {
    Trunkline other = open(OPENED);
    Queue sameQueue = other.queue("orders");
    sendNumbers(5);
    List<String> interrupted = new CopyOnWriteArrayList<>();
    CountDownLatch begun = new CountDownLatch(1);
    sameQueue.consume(
        handlers(1),
        delivery -> {
          begun.countDown();
          try {
            new CountDownLatch(1).await();
          } catch (InterruptedException e) {
            interrupted.add(delivery.message().text());
            throw e;
          }
          return Outcome.ack();
        });
    Awaits.until(() -> begun.getCount() == 0);

    Thread.currentThread().interrupt();
    long begin = System.nanoTime();
    other.close();

    assertThat(Thread.interrupted()).isTrue();
    assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(15));
    Awaits.until(() -> interrupted.size() == 1);
    assertThat(count("lease")).isZero();
    assertThat(count("consumer")).isEqualTo(1);
    assertThat(queue.stats().ready()).isEqualTo(5);
  }
}
