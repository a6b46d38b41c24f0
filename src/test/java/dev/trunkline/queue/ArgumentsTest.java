package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.retry.RetryPolicy;
import java.time.Duration;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** An argument that makes no sense is refused at once, by its name and with its value. */
class ArgumentsTest {
  private static final Duration NEGATIVE = Duration.ofMillis(-1);
  private static final Duration TOO_LONG = Duration.ofHours(12).plusMillis(1);

  static Stream<Arguments> values() {
    return Stream.of(
        of(
            "visibilityTimeout",
            "PT0S",
            () -> QueueConfig.defaults().withVisibilityTimeout(Duration.ZERO)),
        of(
            "visibilityTimeout",
            "PT12H0.001S",
            () -> QueueConfig.defaults().withVisibilityTimeout(TOO_LONG)),
        of("maxMessages", "0", () -> QueueConfig.defaults().withMaxMessages(0)),
        of("maxBytes", "-5", () -> QueueConfig.defaults().withMaxBytes(-5)),
        of("maxWait", "PT-0.001S", () -> Bounds.messages(1).withMaxWait(NEGATIVE)),
        of("maxWait", "PT2H", () -> Bounds.messages(1).withMaxWait(Duration.ofHours(2))),
        of("pressureAt", "0.0", () -> Bounds.messages(1).withPressureAt(0)),
        of("pressureAt", "1.01", () -> Bounds.messages(1).withPressureAt(1.01)),
        of("pressureAt", "NaN", () -> Bounds.messages(1).withPressureAt(Double.NaN)),
        of("messages", "0", () -> RateLimit.of(0, Duration.ofSeconds(1))),
        of("messages", "1000001", () -> RateLimit.of(1_000_001, Duration.ofSeconds(1))),
        of("per", "PT0S", () -> RateLimit.of(1, Duration.ZERO)),
        of("per", "PT-0.001S", () -> RateLimit.of(1, NEGATIVE)),
        of("burst", "0", () -> RateLimit.of(1, Duration.ofSeconds(1)).withBurst(0)),
        of("maxInFlight", "0", () -> QueueConfig.defaults().withMaxInFlight(0)),
        of(
            "priorityAgeing",
            "PT0.999S",
            () -> QueueConfig.defaults().withPriorityAgeing(Duration.ofMillis(999))),
        of("takeoverPriority", "1001", () -> ConsumerConfig.defaults().withTakeoverPriority(1_001)),
        of("maxPayloadBytes", "0", () -> QueueConfig.defaults().withMaxPayloadBytes(0)),
        of(
            "maxPayloadBytes",
            "268435457",
            () -> QueueConfig.defaults().withMaxPayloadBytes(268_435_457)),
        of("maxDeliveries", "0", () -> QueueConfig.defaults().withMaxDeliveries(0)),
        of("maxDeliveries", "-2", () -> QueueConfig.defaults().withMaxDeliveries(-2)),
        of(
            "initialDelay",
            "PT-0.001S",
            () -> RetryPolicy.defaults().withDelays(NEGATIVE, Duration.ofSeconds(1))),
        of(
            "maxDelay",
            "PT1S",
            () -> RetryPolicy.defaults().withDelays(Duration.ofSeconds(2), Duration.ofSeconds(1))),
        of(
            "maxDelay",
            "PT8784H",
            () -> RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ofDays(366))),
        of("multiplier", "0.99", () -> RetryPolicy.defaults().withMultiplier(0.99)),
        of("multiplier", "1001.0", () -> RetryPolicy.defaults().withMultiplier(1_001)),
        of("multiplier", "NaN", () -> RetryPolicy.defaults().withMultiplier(Double.NaN)),
        of("deliveries", "0", () -> RetryPolicy.defaults().delayAfter(0, () -> 0)),
        of("maxMessages", "0", () -> ReceiveOptions.defaults().withMaxMessages(0)),
        of("maxMessages", "10001", () -> ReceiveOptions.defaults().withMaxMessages(10_001)),
        of("maxWait", "PT-0.001S", () -> ReceiveOptions.defaults().withMaxWait(NEGATIVE)),
        of(
            "maxWait",
            "PT1H0.001S",
            () -> ReceiveOptions.defaults().withMaxWait(Duration.ofHours(1).plusMillis(1))),
        of(
            "visibilityTimeout",
            "PT0S",
            () ->
                ReceiveOptions.defaults().withMaxMessages(1).withVisibilityTimeout(Duration.ZERO)),
        of(
            "visibilityTimeout",
            "PT12H0.001S",
            () -> ReceiveOptions.defaults().withMaxMessages(1).withVisibilityTimeout(TOO_LONG)),
        of("maxBytes", "0", () -> ReceiveOptions.defaults().withMaxMessages(1).withMaxBytes(0)),
        of("concurrency", "0", () -> ConsumerConfig.defaults().withConcurrency(0)),
        of("concurrency", "10001", () -> ConsumerConfig.defaults().withConcurrency(10_001)),
        of("prefetch", "9", () -> ConsumerConfig.defaults().withPrefetch(9)),
        of("prefetch", "100001", () -> ConsumerConfig.defaults().withPrefetch(100_001)),
        of("prefetchBytes", "0", () -> ConsumerConfig.defaults().withPrefetchBytes(0)),
        of(
            "visibilityTimeout",
            "PT0S",
            () -> ConsumerConfig.defaults().withVisibilityTimeout(Duration.ZERO)),
        of("maxLeaseTime", "PT0S", () -> ConsumerConfig.defaults().withMaxLeaseTime(Duration.ZERO)),
        of(
            "shutdownTimeout",
            "PT-0.001S",
            () -> ConsumerConfig.defaults().withShutdownTimeout(NEGATIVE)),
        of(
            "pollInterval",
            "PT0.009S",
            () -> TrunklineConfig.defaults().withPollInterval(Duration.ofMillis(9))),
        of(
            "pollInterval",
            "PT10.001S",
            () -> TrunklineConfig.defaults().withPollInterval(Duration.ofMillis(10_001))),
        of(
            "heartbeatTimeout",
            "PT2.999S",
            () -> TrunklineConfig.defaults().withHeartbeatTimeout(Duration.ofMillis(2_999))),
        of(
            "heartbeatTimeout",
            "PT10M0.001S",
            () ->
                TrunklineConfig.defaults()
                    .withHeartbeatTimeout(Duration.ofMinutes(10).plusMillis(1))),
        of("after", "PT-0.001S", () -> Outcome.retry(NEGATIVE)),
        of("after", "PT8784H", () -> Outcome.retry(Duration.ofDays(366))),
        of("after", "PT-0.001S", () -> Outcome.release(NEGATIVE)),
        of("after", "PT8784H", () -> Outcome.release(Duration.ofDays(366))),
        of("priority", "10", () -> Message.text("a").withPriority(10)),
        of("priority", "-1", () -> Message.text("a").withPriority(-1)));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("values")
  void a_value_out_of_range_is_refused(String argument, String value, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith(argument + " must")
        .hasMessageEndingWith(": " + value);
  }

  private static Arguments of(String argument, String value, ThrowingCallable call) {
    return arguments(argument, value, call);
  }
}
