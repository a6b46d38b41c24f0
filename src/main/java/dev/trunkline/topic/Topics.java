package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.TopicConfigMismatchException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.internal.db.Broadcast;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Notifications;
import dev.trunkline.internal.name.ValidName;
import java.util.List;

/**
 * The topics of one process: declare, find, alter. Thread-safe. Users reach it through {@code
 * Trunkline}.
 */
public final class Topics {
  private final TopicEngine engine;

  private Topics(TopicEngine engine) {
    this.engine = engine;
  }

  /** For the library. */
  public static Topics open(
      Database database, Notifications notifications, Broadcast broadcast, TopicsConfig config) {
    return new Topics(new TopicEngine(database, notifications, broadcast, config).start());
  }

  /**
   * Finds a topic that has been declared.
   *
   * @throws IllegalArgumentException if the name is not valid
   * @throws TopicNotFoundException if there is none
   */
  public Topic get(String name) {
    engine.requireOpen();
    return new Topic(engine, find(ValidName.checked("name", name)));
  }

  /**
   * Declares a topic: makes it if it is not there, and finds it if it is there with this
   * configuration.
   *
   * @throws IllegalArgumentException if the name is not valid
   * @throws TopicConfigMismatchException if it is there with another configuration
   */
  public Topic declare(String name, TopicConfig config) {
    engine.requireOpen();
    requireNonNull(config, "config");
    ValidName.checked("name", name);
    TopicRow row = declared(name, config);
    if (!row.config().equals(config)) {
      throw new TopicConfigMismatchException(name, row.config(), config);
    }
    return new Topic(engine, row);
  }

  /**
   * Declares a topic and gives it this configuration if it has another one. Partitions may become
   * more, not fewer; publishers of other processes learn of it with their next publish, members of
   * groups within a second. A key may then belong to another partition: what is published from now
   * on is not in order with what was published before.
   *
   * @throws IllegalArgumentException if the name is not valid, or the partitions would become fewer
   */
  public Topic alter(String name, TopicConfig config) {
    engine.requireOpen();
    requireNonNull(config, "config");
    ValidName.checked("name", name);
    TopicRow row = declared(name, config);
    boolean altered =
        engine.database().inTransaction(session -> TopicStore.alter(session, name, config));
    if (!altered) {
      throw new IllegalArgumentException(
          "partitions must not become fewer than %d: %d"
              .formatted(row.config().partitions(), config.partitions()));
    }
    engine.changed();
    return new Topic(engine, find(name));
  }

  /** The names of all topics, sorted. */
  public List<String> names() {
    engine.requireOpen();
    return engine.database().run(TopicStore::names);
  }

  /** How far all groups of all topics are behind, in one statement, which changes nothing. */
  public List<GroupLag> lags() {
    engine.requireOpen();
    return engine.database().run(LagStore::lags);
  }

  /** Stops reading. Idempotent; then runs what comes afterwards. */
  public void close(Runnable afterwards) {
    engine.close(afterwards);
  }

  /** Looks first: a topic that is there costs no id. */
  private TopicRow declared(String name, TopicConfig config) {
    return engine
        .database()
        .run(session -> TopicStore.find(session, name))
        .orElseGet(
            () -> {
              engine.database().inTransaction(session -> TopicStore.declare(session, name, config));
              engine.changed();
              return find(name);
            });
  }

  private TopicRow find(String name) {
    return engine
        .database()
        .run(session -> TopicStore.find(session, name))
        .orElseThrow(() -> new TopicNotFoundException(name));
  }
}
