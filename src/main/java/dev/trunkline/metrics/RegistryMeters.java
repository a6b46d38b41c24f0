package dev.trunkline.metrics;

import dev.trunkline.queue.QueueStats;
import dev.trunkline.topic.PartitionLag;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.TimeGauge;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * The meters in one registry: those of what there is. Thread-safe.
 *
 * <p>One of them, {@code trunkline.up}, is always there, so that a registry which is read at all
 * makes readings, and learns of the first queue.
 */
final class RegistryMeters implements AutoCloseable {
  private static final String MESSAGES = "messages";

  private final MeterRegistry registry;
  private final Tags tags;
  private final Readings readings;
  private final Map<Subject, List<Meter>> meters = new HashMap<>();
  private final Meter up;
  private boolean closed;

  RegistryMeters(MeterRegistry registry, Tags tags, Readings readings) {
    this.registry = registry;
    this.tags = tags;
    this.readings = readings;
    this.up =
        Gauge.builder("trunkline.up", () -> readings.now().isPresent() ? 1 : 0)
            .description("1 if the values of Trunkline could be read from its database, else 0")
            .tags(tags)
            .register(registry);
  }

  /** What is new gets its meters, what is gone loses them. */
  synchronized void follow(Reading reading) {
    if (closed) {
      return;
    }
    Set<Subject> subjects = reading.subjects();
    meters
        .entrySet()
        .removeIf(
            known -> {
              boolean gone = !subjects.contains(known.getKey());
              if (gone) {
                known.getValue().forEach(registry::remove);
              }
              return gone;
            });
    subjects.forEach(subject -> meters.computeIfAbsent(subject, this::register));
  }

  /** Removes all of them. Idempotent. */
  @Override
  public synchronized void close() {
    closed = true;
    meters.values().forEach(some -> some.forEach(registry::remove));
    meters.clear();
    registry.remove(up);
  }

  private List<Meter> register(Subject subject) {
    if (subject instanceof Subject.InQueue in) {
      return ofQueue(in);
    }
    if (subject instanceof Subject.InBounds in) {
      return ofBounds(in);
    }
    return ofGroup((Subject.InPartition) subject);
  }

  private List<Meter> ofQueue(Subject.InQueue in) {
    String queue = in.queue();
    return List.of(
        count(queue, "ready", "Messages that may be claimed now", QueueStats::ready),
        count(queue, "scheduled", "Messages delayed or backing off", QueueStats::scheduled),
        count(queue, "in.flight", "Messages claimed and not settled", QueueStats::inFlight),
        count(queue, "dead", "Dead letters", QueueStats::dead),
        gauge(
            "trunkline.queue.waiting",
            "bytes",
            "Payload bytes of what is ready or scheduled",
            of(queue),
            reading -> stats(reading, queue).map(s -> (double) s.waitingBytes())),
        time(
            "trunkline.queue.oldest.ready",
            "How long ago the message at the head of the line was sent; 0 if none is ready",
            of(queue),
            reading -> stats(reading, queue).map(s -> s.oldestReady().orElse(Duration.ZERO))),
        total(queue, "sent", "Messages ever sent", QueueStats::sent),
        total(queue, "acked", "Messages ever acknowledged", QueueStats::acked),
        total(queue, "expired", "Messages whose time was over unhandled", QueueStats::expired));
  }

  private List<Meter> ofBounds(Subject.InBounds in) {
    String queue = in.queue();
    return List.of(
        gauge(
            "trunkline.queue.fullness",
            null,
            "Used share of the queue's bound, of messages or bytes the larger; 1 is full",
            of(queue),
            reading -> stats(reading, queue).map(s -> s.fullness().orElse(Double.NaN))),
        gauge(
            "trunkline.queue.pressure",
            null,
            "1 if the queue is as full as its pressure mark or fuller, else 0",
            of(queue),
            reading -> stats(reading, queue).map(s -> s.underPressure() ? 1.0 : 0.0)));
  }

  private List<Meter> ofGroup(Subject.InPartition in) {
    Tags tagged =
        tags.and(
            "topic", in.topic(), "group", in.group(), "partition", String.valueOf(in.partition()));
    return List.of(
        gauge(
            "trunkline.group.lag",
            "records",
            "Records that the group has not done with",
            tagged,
            reading -> lag(reading, in).map(lag -> (double) lag.records())),
        time(
            "trunkline.group.lag.time",
            "Age of the oldest record that the group has not done with; 0 if there is none",
            tagged,
            reading -> lag(reading, in).map(PartitionLag::time)));
  }

  private Tags of(String queue) {
    return tags.and("queue", queue);
  }

  private static Optional<QueueStats> stats(Reading reading, String queue) {
    return Optional.ofNullable(reading.queues().get(queue));
  }

  private static Optional<PartitionLag> lag(Reading reading, Subject.InPartition in) {
    return Optional.ofNullable(reading.lags().get(in));
  }

  private Meter count(
      String queue, String what, String description, ToDoubleFunction<QueueStats> value) {
    return gauge(
        "trunkline.queue." + what,
        MESSAGES,
        description,
        of(queue),
        reading -> stats(reading, queue).map(value::applyAsDouble));
  }

  private Meter gauge(
      String name,
      @Nullable String unit,
      String description,
      Tags tagged,
      Function<Reading, Optional<Double>> value) {
    return Gauge.builder(name, () -> readings.now().flatMap(value).orElse(Double.NaN))
        .baseUnit(unit)
        .description(description)
        .tags(tagged)
        .register(registry);
  }

  /** In the registry's own unit of time: seconds, in most. */
  private Meter time(
      String name, String description, Tags tagged, Function<Reading, Optional<Duration>> value) {
    return TimeGauge.builder(
            name,
            () ->
                readings
                    .now()
                    .flatMap(value)
                    .map(duration -> (double) duration.toNanos())
                    .orElse(Double.NaN),
            TimeUnit.NANOSECONDS)
        .description(description)
        .tags(tagged)
        .register(registry);
  }

  /**
   * Never NaN: registries add up the differences, and one that is not a number would stay. The
   * gauges keep this object, which a counter only refers to, alive.
   */
  private Meter total(
      String queue, String what, String description, ToDoubleFunction<QueueStats> value) {
    return FunctionCounter.builder(
            "trunkline.queue." + what,
            this,
            meters ->
                stats(meters.readings.nowOrBefore(), queue).map(value::applyAsDouble).orElse(0.0))
        .baseUnit(MESSAGES)
        .description(description)
        .tags(of(queue))
        .register(registry);
  }
}
