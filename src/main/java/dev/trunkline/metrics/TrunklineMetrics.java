package dev.trunkline.metrics;

import static java.util.Objects.requireNonNull;

import dev.trunkline.Trunkline;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The queues and groups of a Trunkline as meters. Bound to any number of registries; thread-safe.
 * Needs {@code io.micrometer:micrometer-core}, which the rest of the library does without.
 *
 * <p>Tagged {@code queue}, in messages unless it says otherwise:
 *
 * <ul>
 *   <li>gauges {@code trunkline.queue.ready}, {@code .scheduled}, {@code .in.flight}, {@code
 *       .dead}, {@code .waiting} (bytes of what is ready or scheduled), {@code .oldest.ready} (the
 *       age of the message at the head of the line, in the registry's unit of time, 0 if none is
 *       ready);
 *   <li>counters {@code trunkline.queue.sent}, {@code .acked}, {@code .expired};
 *   <li>for bounded queues the gauges {@code trunkline.queue.fullness} (1 is full) and {@code
 *       trunkline.queue.pressure} (1 from {@link dev.trunkline.queue.Bounds#pressureAt} on, else
 *       0).
 * </ul>
 *
 * <p>Tagged {@code topic}, {@code group} and {@code partition}, for each partition of each group:
 * {@code trunkline.group.lag} in records and {@code trunkline.group.lag.time}, the age of the
 * oldest record that the group has not done with. {@link Trunkline#groupLags} says when records
 * begin to count.
 *
 * <p>{@code trunkline.up} is 1 if all these could be read, else 0.
 *
 * <p>The values are those of the database, whatever process reads them: where several report, take
 * the maximum, not the sum. All of them are read when one is, by two statements that count nothing,
 * at most once per {@link MetricsConfig#maxAge}. Queues and groups that appear, whoever has made
 * them, have their meters with the next reading; those that are deleted lose them.
 *
 * <p>If the database cannot be read within {@link MetricsConfig#maxWait}, gauges are NaN and
 * counters what they were; that is logged once when it begins and once when it is over. No meter
 * throws.
 */
public final class TrunklineMetrics implements MeterBinder, AutoCloseable {
  private final MetricsConfig config;
  private final Readings readings;
  private final List<RegistryMeters> bound = new CopyOnWriteArrayList<>();
  private boolean closed;

  /** With {@link MetricsConfig#defaults}. Reads nothing before it is bound. */
  public TrunklineMetrics(Trunkline trunkline) {
    this(trunkline, MetricsConfig.defaults());
  }

  /** Reads nothing before it is bound. */
  public TrunklineMetrics(Trunkline trunkline, MetricsConfig config) {
    requireNonNull(trunkline, "trunkline");
    this.config = requireNonNull(config, "config");
    this.readings = new Readings(() -> Reading.of(trunkline), this::follow, config);
  }

  /**
   * Registers the meters of what there is. If the database cannot be read, that is {@code
   * trunkline.up} only; the others come when it can. Two of these in one registry need tags to tell
   * them apart.
   *
   * @throws IllegalStateException if this is closed
   */
  @Override
  public void bindTo(MeterRegistry registry) {
    RegistryMeters meters;
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("these metrics are closed");
      }
      meters = new RegistryMeters(requireNonNull(registry, "registry"), config.tags(), readings);
      bound.add(meters);
    }
    readings.now().ifPresent(meters::follow);
  }

  private void follow(Reading reading) {
    bound.forEach(meters -> meters.follow(reading));
  }

  /** Removes all meters. To be called before the Trunkline is closed. Idempotent. */
  @Override
  public synchronized void close() {
    closed = true;
    readings.close();
    bound.forEach(RegistryMeters::close);
    bound.clear();
  }
}
