package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.Trunkline;
import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.error.QueueConfigMismatchException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.message.Message;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.Jitter;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DeclareTest extends QueueFixture {

  @Test
  void declaring_again_finds_the_same_queue() {
    send("a");

    Queue again = trunkline.queue("orders", CONFIG);
    Queue elsewhere = open(OPENED).queue("orders", CONFIG);

    assertThat(again.stats().ready()).isEqualTo(1);
    assertThat(texts(elsewhere.receive(10))).containsExactly("a");
    assertThat(again.name()).isEqualTo("orders");
    assertThat(again.config()).isEqualTo(CONFIG);
  }

  @Test
  void every_part_of_a_configuration_is_kept() {
    QueueConfig odd =
        new QueueConfig(
            Duration.ofMillis(12_345),
            new RetryPolicy(
                RetryPolicy.UNLIMITED,
                Duration.ofMillis(7),
                Duration.ofDays(365),
                1.1,
                Jitter.NONE),
            268_435_456,
            new SendRules(
                Optional.of(new Deduplication(Duration.ofMillis(1), DeduplicationScope.KEY, true)),
                Optional.of(new Expiry(Duration.ofDays(3650), ExpiredMessages.DEAD_LETTER))),
            new FlowRules(
                Optional.of(
                    new Bounds(
                        OptionalLong.of(12),
                        OptionalLong.of(3_000_000_000L),
                        Overflow.REJECT,
                        Duration.ofMillis(1_234),
                        0.75)),
                Optional.of(new RateLimit(3, Duration.ofMillis(7), 9)),
                OptionalInt.of(17),
                Optional.empty(),
                true),
            Ordering.fifoByKey(FailurePolicy.PARK));

    trunkline.queue("odd", odd);

    assertThat(open(OPENED).queue("odd").config()).isEqualTo(odd);
    assertThat(open(OPENED).queue("odd", odd).config()).isEqualTo(odd);
  }

  @Test
  void fractions_of_a_millisecond_are_dropped_and_make_no_difference() {
    QueueConfig fine =
        QueueConfig.defaults()
            .withVisibilityTimeout(Duration.ofNanos(1_500_000_001L))
            .withRetryPolicy(
                RetryPolicy.defaults()
                    .withDelays(Duration.ofNanos(1), Duration.ofNanos(2_999_999)));

    Queue declared = trunkline.queue("fine", fine);
    trunkline.queue("fine", fine);

    assertThat(declared.config().visibilityTimeout()).isEqualTo(Duration.ofMillis(1_500));
    assertThat(declared.config().retryPolicy().initialDelay()).isZero();
    assertThat(declared.config().retryPolicy().maxDelay()).isEqualTo(Duration.ofMillis(2));
  }

  @Test
  void another_configuration_is_refused_with_both_told_and_nothing_changed() {
    List<QueueConfig> others =
        List.of(
            CONFIG.withVisibilityTimeout(Duration.ofSeconds(31)),
            CONFIG.withMaxDeliveries(6),
            CONFIG.withMaxDeliveries(RetryPolicy.UNLIMITED),
            CONFIG.withRetryPolicy(AT_ONCE.withMultiplier(3)),
            CONFIG.withRetryPolicy(AT_ONCE.withJitter(Jitter.NONE)),
            CONFIG.withRetryPolicy(AT_ONCE.withDelays(Duration.ZERO, Duration.ofMillis(1))),
            CONFIG.withMaxPayloadBytes(7));

    assertThat(others)
        .allSatisfy(
            other ->
                assertThatThrownBy(() -> trunkline.queue("orders", other))
                    .isInstanceOf(QueueConfigMismatchException.class)
                    .hasMessageContaining("orders")
                    .hasMessageContaining(CONFIG.toString())
                    .hasMessageContaining(other.toString())
                    .hasMessageContaining("alter"));

    assertThat(trunkline.queue("orders").config()).isEqualTo(CONFIG);
  }

  @Test
  void altering_changes_the_configuration_and_keeps_the_messages() {
    send("a");
    QueueConfig other = CONFIG.withMaxPayloadBytes(7).withMaxDeliveries(2);

    Queue altered = trunkline.alterQueue("orders", other);

    assertThat(altered.config()).isEqualTo(other);
    assertThat(trunkline.queue("orders", other).stats().ready()).isEqualTo(1);
    assertThatThrownBy(() -> altered.send(Message.text("12345678")))
        .isInstanceOf(PayloadTooLargeException.class);
    assertThatThrownBy(() -> trunkline.queue("orders", CONFIG))
        .isInstanceOf(QueueConfigMismatchException.class);
  }

  @Test
  void altering_what_is_not_there_declares_it() {
    assertThat(trunkline.alterQueue("new", CONFIG).name()).isEqualTo("new");
    assertThat(trunkline.queueNames()).containsExactly("new", "orders");
  }

  @Test
  void a_queue_that_was_never_declared_is_not_found() {
    assertThatThrownBy(() -> trunkline.queue("nowhere"))
        .isInstanceOf(QueueNotFoundException.class)
        .hasMessage("queue \"nowhere\" does not exist");
  }

  @Test
  void names_differ_in_upper_and_lower_case_and_are_listed_in_order() {
    trunkline.queue("b", CONFIG);
    trunkline.queue("Orders", CONFIG);
    trunkline.queue("a", CONFIG);

    assertThat(trunkline.queueNames()).containsExactlyInAnyOrder("Orders", "a", "b", "orders");
    assertThat(trunkline.queue("Orders").stats().sent()).isZero();
  }

  @Test
  void two_processes_that_declare_at_once_get_the_same_queue() throws Exception {
    Trunkline other = open(OPENED);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 15; round++) {
        String name = "q" + round;
        List<Future<Queue>> declared =
            atOnce(
                threads,
                List.of(() -> trunkline.queue(name, CONFIG), () -> other.queue(name, CONFIG)));
        declared.get(0).get().send(Message.text(name));
        assertThat(texts(declared.get(1).get().receive(10))).containsExactly(name);
      }
    } finally {
      threads.shutdown();
    }
  }

  @Test
  void of_two_processes_that_declare_differently_at_once_one_is_refused() throws Exception {
    Trunkline other = open(OPENED);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 15; round++) {
        String name = "q" + round;
        List<Future<Queue>> declared =
            atOnce(
                threads,
                List.of(
                    () -> trunkline.queue(name, CONFIG),
                    () -> other.queue(name, CONFIG.withMaxDeliveries(7))));
        List<Throwable> refused = new ArrayList<>();
        for (Future<Queue> one : declared) {
          try {
            one.get();
          } catch (java.util.concurrent.ExecutionException e) {
            refused.add(e.getCause());
          }
        }
        assertThat(refused).singleElement().isInstanceOf(QueueConfigMismatchException.class);
      }
    } finally {
      threads.shutdown();
    }
  }

  private static List<Future<Queue>> atOnce(ExecutorService threads, List<Callable<Queue>> calls) {
    CyclicBarrier barrier = new CyclicBarrier(calls.size());
    return calls.stream()
        .map(
            call ->
                threads.submit(
                    () -> {
                      barrier.await();
                      return call.call();
                    }))
        .toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", "0", "order.placed", "A-b_c.9", "x---", "q."})
  void a_valid_name_is_taken_as_it_is(String name) {
    assertThat(trunkline.queue(name, CONFIG).name()).isEqualTo(name);
    assertThat(trunkline.queue(name).name()).isEqualTo(name);
  }

  @Test
  void a_name_may_have_120_characters_and_not_121() {
    String longest = "n".repeat(120);

    assertThat(trunkline.queue(longest, CONFIG).name()).isEqualTo(longest);
    assertThatThrownBy(() -> trunkline.queue(longest + "n", CONFIG))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", " ", "a b", ".a", "-a", "_a", "a\n", "a/b", "a'b", "a\"b", "a;b", "größe", "注文", "a\0",
        "a,b", "orders "
      })
  void an_invalid_name_is_refused_and_told(String name) {
    List<Callable<?>> calls =
        List.of(
            () -> trunkline.queue(name),
            () -> trunkline.queue(name, CONFIG),
            () -> trunkline.alterQueue(name, CONFIG));

    assertThat(calls)
        .allSatisfy(
            call ->
                assertThatThrownBy(call::call)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("name must be")
                    .hasMessageEndingWith("\"" + name + "\""));
  }
}
