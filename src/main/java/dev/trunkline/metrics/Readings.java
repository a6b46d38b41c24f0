package dev.trunkline.metrics;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The newest reading, made anew by whoever finds it too old. One is made at a time, and all who
 * come meanwhile wait for it. Thread-safe.
 */
final class Readings implements AutoCloseable {
  /*
   * A reading runs on a thread of its own: with a database that is gone, a pool keeps its callers waiting for half a
   * minute, and a scrape has hundreds of meters. Whoever reads waits until maxWait after the reading began, so all meters
   * of a scrape wait no longer than that together; and as long as one reading hangs, no other begins.
   */
  private static final Logger LOG = LoggerFactory.getLogger(Readings.class);

  private final Supplier<Reading> source;
  private final Consumer<Reading> follower;
  private final Duration maxAge;
  private final Duration maxWait;
  private volatile Attempt newest;
  private volatile Reading lastKnown = Reading.NOTHING;
  private volatile boolean closed;

  /** Written by one reading after the other. */
  private volatile boolean troubled;

  /**
   * Reads nothing yet.
   *
   * @param follower told of each reading before anybody else is
   */
  Readings(Supplier<Reading> source, Consumer<Reading> follower, MetricsConfig config) {
    this.source = source;
    this.follower = follower;
    this.maxAge = config.maxAge();
    this.maxWait = config.maxWait();
    Attempt none = new Attempt();
    none.finish(Optional.empty(), System.nanoTime() - maxAge.toNanos());
    this.newest = none;
  }

  /** Values that are young enough; nothing if there are none, or none in time. Throws nothing. */
  Optional<Reading> now() {
    if (closed) {
      return Optional.empty();
    }
    Attempt attempt = newest;
    if (attempt.isOlderThan(maxAge)) {
      attempt = newerThan(attempt);
    }
    return attempt.await(maxWait);
  }

  /** The same, but what was known last if nothing is known now. */
  Reading nowOrBefore() {
    return now().orElse(lastKnown);
  }

  /** Begins one, unless somebody else has. */
  private synchronized Attempt newerThan(Attempt old) {
    if (newest == old) {
      newest = new Attempt();
      begin(newest);
    }
    return newest;
  }

  private void begin(Attempt attempt) {
    boolean begun = false;
    try {
      Thread thread = new Thread(() -> read(attempt), "trunkline-metrics");
      thread.setDaemon(true);
      thread.start();
      begun = true;
    } finally {
      if (!begun) {
        attempt.finish(Optional.empty(), System.nanoTime());
      }
    }
  }

  private void read(Attempt attempt) {
    Optional<Reading> found = Optional.empty();
    try {
      Reading reading = source.get();
      found = Optional.of(reading);
      follower.accept(reading);
      lastKnown = reading;
      worked(attempt.age());
    } catch (RuntimeException e) {
      if (!troubled && !closed) {
        troubled = true;
        LOG.warn("metrics: they cannot be read, and are unknown until they can", e);
      }
    } finally {
      attempt.finish(found, System.nanoTime());
    }
  }

  /** It worked, and took so long. */
  private void worked(Duration took) {
    boolean late = took.compareTo(maxWait) > 0;
    if (late && !troubled) {
      LOG.warn(
          "metrics: reading them took {} ms, nobody waits for longer than {}: they are unknown",
          took.toMillis(),
          maxWait.toMillis());
    } else if (!late && troubled) {
      LOG.info("metrics: they can be read again");
    }
    troubled = late;
  }

  /** Nothing is known from now on. */
  @Override
  public void close() {
    closed = true;
  }

  /** One reading, under way or done. */
  private static final class Attempt {
    private final long beganNanos = System.nanoTime();
    private final CompletableFuture<Optional<Reading>> result = new CompletableFuture<>();
    private volatile long endedNanos;

    void finish(Optional<Reading> reading, long nanos) {
      endedNanos = nanos;
      result.complete(reading);
    }

    Duration age() {
      return Duration.ofNanos(System.nanoTime() - beganNanos);
    }

    /** Counts from the end: however long a reading takes, there is a pause before the next. */
    boolean isOlderThan(Duration age) {
      return result.isDone() && System.nanoTime() - endedNanos >= age.toNanos();
    }

    Optional<Reading> await(Duration atMost) {
      try {
        long left = atMost.minus(age()).toNanos();
        return result.get(Math.max(0, left), TimeUnit.NANOSECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return Optional.empty();
      } catch (TimeoutException | ExecutionException e) {
        return Optional.empty();
      }
    }
  }
}
