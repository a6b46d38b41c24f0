package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class HandlerTest extends QueueFixture {

  record Order(int id) {}

  @Test
  void each_outcome_of_a_batch_is_carried_out() {
    sendAll("ack", "retry", "later", "release", "park", "reject");
    Map<String, Integer> seen = new ConcurrentHashMap<>();

    consumeUntil(
        handlers(3),
        delivery -> {
          String text = delivery.message().text();
          boolean first = seen.merge(text, 1, Integer::sum) == 1;
          return switch (text) {
            case "retry" -> first ? Outcome.retry() : Outcome.ack();
            case "later" -> Outcome.retry(Duration.ofHours(1));
            case "release" -> first ? Outcome.release() : Outcome.ack();
            case "park" -> Outcome.release(Duration.ofHours(1));
            case "reject" -> Outcome.deadLetter("no");
            default -> Outcome.ack();
          };
        },
        () -> count("ready") + count("lease") == 0);

    assertThat(seen)
        .isEqualTo(Map.of("ack", 1, "retry", 2, "later", 1, "release", 2, "park", 1, "reject", 1));
    assertThat(queue.peek(MessageState.SCHEDULED, 10))
        .extracting(message -> message.message().text() + " " + message.deliveries())
        .containsExactlyInAnyOrder("later 1", "park 0");
    assertThat(queue.deadLetters().browse(10))
        .extracting(DeadLetter::reason)
        .containsExactly(DeathReason.REJECTED);
    assertThat(queue.stats().acked()).isEqualTo(3);
  }

  @Test
  void an_exception_is_a_failed_attempt_and_the_last_one_is_in_the_dead_letter() {
    altered(CONFIG.withMaxDeliveries(3));
    send("a");

    consumeUntil(
        handlers(1),
        delivery -> {
          throw new IOException("attempt " + delivery.attempt(), new IllegalStateException("root"));
        },
        () -> count("dead_letter") == 1);

    DeadLetter letter = queue.deadLetters().browse(1).get(0);
    assertThat(letter.reason()).isEqualTo(DeathReason.DELIVERY_LIMIT);
    assertThat(letter.deliveries()).isEqualTo(3);
    assertThat(letter.error()).isPresent();
    assertThat(letter.error().orElseThrow().className()).isEqualTo("java.io.IOException");
    assertThat(letter.error().orElseThrow().message()).isEqualTo("attempt 3");
    assertThat(letter.error().orElseThrow().stack())
        .contains("HandlerTest")
        .contains("Caused by: java.lang.IllegalStateException: root");
  }

  @Test
  void an_error_and_a_null_outcome_are_failed_attempts_too() {
    sendAll("error", "overflow", "null");

    consumeUntil(
        handlers(1),
        delivery -> delivery.attempt() > 1 ? Outcome.ack() : failing(delivery.message().text()),
        () -> queue.stats().acked() == 3);

    assertThat(count("message")).isZero();
  }

  @SuppressWarnings("NullAway") // A handler in a language without null checks may do this.
  private static @Nullable Outcome failing(String how) {
    return switch (how) {
      case "error" -> throw new AssertionError("broken");
      case "overflow" -> failing("overflow");
      default -> null;
    };
  }

  @Test
  void an_exception_that_cannot_tell_its_message_costs_no_handler() {
    sendAll("a", "b", "c");
    List<String> handled = new CopyOnWriteArrayList<>();

    consumeUntil(
        handlers(1),
        delivery -> {
          handled.add(delivery.message().text());
          if (delivery.attempt() == 1) {
            throw new Unspeakable();
          }
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(handled).containsExactly("a", "b", "c", "a", "b", "c");
  }

  private static final class Unspeakable extends RuntimeException {
    private static final long serialVersionUID = 1L;

    @Override
    public String getMessage() {
      throw new IllegalStateException("cannot tell");
    }
  }

  @Test
  void types_that_are_not_retried_are_dead_at_once_with_their_subtypes() {
    sendAll("type", "subtype", "other");

    consumeUntil(
        handlers(1).withNonRetryable(Set.of(IOException.class)),
        delivery -> {
          switch (delivery.message().text()) {
            case "type" -> throw new IOException("no");
            case "subtype" -> throw new FileNotFoundException("no");
            default -> {
              if (delivery.attempt() == 1) {
                throw new IllegalStateException("not yet");
              }
              return Outcome.ack();
            }
          }
        },
        () -> count("message") == 0);

    assertThat(queue.deadLetters().browse(10))
        .hasSize(2)
        .allSatisfy(
            letter -> {
              assertThat(letter.reason()).isEqualTo(DeathReason.NON_RETRYABLE);
              assertThat(letter.deliveries()).isEqualTo(1);
              assertThat(letter.error()).isPresent();
            });
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void an_unreadable_payload_is_dead_after_one_look_and_holds_up_nothing() {
    queue.sendAll(
        List.of(
            Message.json(new Order(1)),
            Message.text("{not json").withContentType("application/json"),
            Message.bytes(new byte[] {(byte) 0xff, (byte) 0xfe}),
            Message.text("null"),
            Message.json(new Order(2))));
    AtomicInteger looks = new AtomicInteger();
    List<Integer> read = new CopyOnWriteArrayList<>();

    consumeUntil(
        handlers(1),
        delivery -> {
          looks.incrementAndGet();
          read.add(delivery.message().json(Order.class).id());
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(read).containsExactly(1, 2);
    assertThat(looks).hasValue(5);
    assertThat(queue.deadLetters().browse(10))
        .hasSize(3)
        .allSatisfy(
            letter -> {
              assertThat(letter.reason()).isEqualTo(DeathReason.UNREADABLE);
              assertThat(letter.deliveries()).isEqualTo(1);
              assertThat(letter.error().orElseThrow().message()).contains("Order");
            });
  }

  @Test
  void a_handler_may_settle_by_itself_and_then_say_what_it_likes() {
    sendAll("ack then throw", "retry then ack", "dead then null");
    AtomicInteger calls = new AtomicInteger();

    consumeUntil(
        handlers(1),
        delivery -> {
          calls.incrementAndGet();
          switch (delivery.message().text()) {
            case "ack then throw" -> {
              delivery.ack();
              throw new IllegalStateException("too late to matter");
            }
            case "retry then ack" -> {
              if (delivery.attempt() == 1) {
                delivery.retry();
              }
              return Outcome.ack();
            }
            default -> {
              delivery.deadLetter("by hand");
              return failing("null");
            }
          }
        },
        () -> count("message") == 0);

    assertThat(calls).hasValue(4);
    assertThat(queue.stats().acked()).isEqualTo(2);
    assertThat(queue.deadLetters().browse(10)).hasSize(1);
  }

  @Test
  void a_handler_that_settles_twice_is_told() {
    send("a");
    AtomicBoolean told = new AtomicBoolean();

    consumeUntil(
        handlers(1),
        delivery -> {
          delivery.ack();
          try {
            delivery.retry();
          } catch (LeaseLostException e) {
            told.set(true);
          }
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(told).isTrue();
  }

  @Test
  void an_outcome_that_comes_after_a_purge_changes_nothing() {
    send("a");
    AtomicBoolean purged = new AtomicBoolean();

    consumeUntil(
        handlers(1),
        delivery -> {
          queue.purge();
          purged.set(true);
          return Outcome.deadLetter("too late");
        },
        purged::get);

    assertThat(count("dead_letter")).isZero();
    assertThat(count("message")).isZero();
  }

  @Test
  void a_handler_that_leaves_its_thread_interrupted_does_not_disturb_the_next() {
    sendAll("a", "b");
    List<Boolean> interrupted = new CopyOnWriteArrayList<>();

    consumeUntil(
        handlers(1),
        delivery -> {
          interrupted.add(Thread.currentThread().isInterrupted());
          Thread.currentThread().interrupt();
          return Outcome.ack();
        },
        () -> count("message") == 0);

    assertThat(interrupted).containsExactly(false, false);
  }

  @Test
  void a_handler_may_send_to_and_receive_from_queues() {
    Queue next = trunkline.queue("next", CONFIG);
    sendAll("a", "b");

    consumeUntil(
        handlers(2),
        delivery -> {
          next.send(delivery.message());
          return Outcome.ack();
        },
        () -> queue.stats().acked() == 2);

    assertThat(texts(next.receive(10))).containsExactlyInAnyOrder("a", "b");
  }
}
