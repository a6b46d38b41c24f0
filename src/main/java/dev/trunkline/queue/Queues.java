package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.QueueConfigMismatchException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Notifications;
import java.util.List;
import java.util.Map;

/**
 * The queues of one process: declare, find, alter. Thread-safe. Users reach it through {@code
 * Trunkline}.
 */
public final class Queues {
  private final Engine engine;

  private Queues(Engine engine) {
    this.engine = engine;
  }

  /** Registers this process and starts what runs in the background. For the library. */
  public static Queues open(
      Database database,
      Notifications notifications,
      QueuesConfig config,
      TrunklineListener listener) {
    return new Queues(new Engine(database, notifications, config, listener).start());
  }

  /** Whether no other process is known, so that there is nobody to tell of anything. */
  public boolean isAlone() {
    return engine.announcer().isAlone();
  }

  /**
   * Finds a queue that has been declared.
   *
   * @throws IllegalArgumentException if the name is not valid
   * @throws QueueNotFoundException if there is none
   */
  public Queue get(String name) {
    engine.requireOpen();
    return new Queue(engine, find(new QueueName(name)));
  }

  /**
   * Declares a queue: makes it if it is not there, and finds it if it is there with this
   * configuration.
   *
   * @throws IllegalArgumentException if the name is not valid
   * @throws QueueConfigMismatchException if it is there with another configuration
   */
  public Queue declare(String name, QueueConfig config) {
    engine.requireOpen();
    requireNonNull(config, "config");
    QueueName valid = new QueueName(name);
    engine.database().run(session -> QueueStore.declare(session, valid, config));
    QueueRow row = find(valid);
    if (!row.config().equals(config)) {
      throw new QueueConfigMismatchException(name, row.config(), config);
    }
    return new Queue(engine, row);
  }

  /**
   * Declares a queue and gives it this configuration if it has another one. Limits and delays are
   * obeyed by every process at once, the payload limit when a process next declares or finds the
   * queue.
   *
   * @throws IllegalArgumentException if the name is not valid, or if what keys mean ({@link
   *     QueueConfig#ordering}) would be another: that is chosen once, only the failure policy of a
   *     FIFO queue may change
   */
  public Queue alter(String name, QueueConfig config) {
    engine.requireOpen();
    requireNonNull(config, "config");
    QueueName valid = new QueueName(name);
    engine.database().run(session -> QueueStore.declare(session, valid, config));
    boolean altered = engine.database().run(session -> QueueStore.alter(session, valid, config));
    QueueRow row = find(valid);
    if (!altered) {
      throw new IllegalArgumentException(
          "ordering of queue \"%s\" cannot be altered from %s: %s"
              .formatted(name, row.config().ordering(), config.ordering()));
    }
    return new Queue(engine, row);
  }

  /** The names of all queues, sorted. */
  public List<String> names() {
    engine.requireOpen();
    return engine.database().run(QueueStore::names);
  }

  /** What {@link Queue#stats} answers, of all queues, by name, in one statement. */
  public Map<String, QueueStats> stats() {
    engine.requireOpen();
    return engine.allStats();
  }

  private QueueRow find(QueueName name) {
    return engine
        .database()
        .run(session -> QueueStore.find(session, name))
        .orElseThrow(() -> new QueueNotFoundException(name.value()));
  }

  /**
   * Closes all consumers and stops what runs in the background; see {@link Consumer#close()}.
   * Idempotent.
   *
   * @param afterwards run when all has stopped; called by a handler, this returns before that
   */
  public void close(Runnable afterwards) {
    engine.close(requireNonNull(afterwards, "afterwards"));
  }
}
