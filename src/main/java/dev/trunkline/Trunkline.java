package dev.trunkline;

import static java.util.Objects.requireNonNull;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.error.SchemaVersionException;
import dev.trunkline.inbox.Inbox;
import dev.trunkline.internal.db.Broadcast;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Migrations;
import dev.trunkline.internal.db.Notifications;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.queue.Queues;
import dev.trunkline.topic.GroupLag;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import dev.trunkline.topic.Topics;
import dev.trunkline.topic.TopicsConfig;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;

/**
 * Durable queues and topics inside a PostgreSQL database. One per process and database;
 * thread-safe.
 *
 * <p>While it is open, a few background threads keep things going: they re-expose what was never
 * settled, make scheduled messages ready, and say that this process is alive. While anybody in the
 * process waits for messages, one connection of the pool is kept for LISTEN, unless {@link
 * TrunklineConfig#withNotifyMode notifications are off}.
 */
public final class Trunkline implements AutoCloseable {
  private static final int OWN_POOL_SIZE = 10;

  private final Database database;
  private final Queues queues;
  private final Topics topics;
  private final Runnable afterwards;

  /**
   * @param afterwards closes what queues and topics share
   */
  private Trunkline(Database database, Queues queues, Topics topics, Runnable afterwards) {
    this.database = database;
    this.queues = queues;
    this.topics = topics;
    this.afterwards = afterwards;
  }

  /**
   * Opens with a pool of the caller's and the default configuration; the pool stays open when this
   * is closed.
   */
  public static Trunkline open(DataSource dataSource) {
    return open(dataSource, TrunklineConfig.defaults());
  }

  /**
   * Opens with a pool of the caller's, which stays open when this is closed. It should hold three
   * connections or more.
   *
   * @throws SchemaVersionException if the schema is too old, too new, or not what it should be
   * @throws dev.trunkline.error.DatabaseException if the database cannot be reached
   */
  public static Trunkline open(DataSource dataSource, TrunklineConfig config) {
    return open(dataSource, config, () -> {});
  }

  private static Trunkline open(DataSource dataSource, TrunklineConfig config, Runnable closePool) {
    Database database = new Database(requireNonNull(dataSource, "dataSource"));
    database.inspect();
    Migrations migrations = new Migrations(database);
    switch (config.migrationMode()) {
      case MIGRATE -> migrations.migrate();
      case VERIFY -> migrations.verify();
      case OFF -> migrations.check();
    }
    Notifications notifications = new Notifications(database);
    Queues queues = Queues.open(database, notifications, config.queues(), config.listener());
    TopicsConfig topicsConfig = config.topics();
    Broadcast broadcast = new Broadcast(database, topicsConfig.notifies(), queues::isAlone).start();
    Topics topics = Topics.open(database, notifications, broadcast, topicsConfig);
    return new Trunkline(
        database,
        queues,
        topics,
        () -> {
          broadcast.close();
          notifications.close();
          closePool.run();
        });
  }

  /** Opens with a pool of its own, of ten connections, and the default configuration. */
  public static Trunkline open(String url, String user, String password) {
    return open(url, user, password, TrunklineConfig.defaults());
  }

  /**
   * Opens with a pool of its own, of ten connections, which is closed with it.
   *
   * @param url for example {@code jdbc:postgresql://localhost/shop}
   * @throws SchemaVersionException if the schema is too old, too new, or not what it should be
   * @throws dev.trunkline.error.DatabaseException if the database cannot be reached
   */
  public static Trunkline open(String url, String user, String password, TrunklineConfig config) {
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(requireNonNull(url, "url"));
    pool.setUsername(requireNonNull(user, "user"));
    pool.setPassword(requireNonNull(password, "password"));
    pool.setPoolName("trunkline");
    pool.setMaximumPoolSize(OWN_POOL_SIZE);
    // Reachability is for Database to find out: it has the error that callers expect.
    pool.setInitializationFailTimeout(-1);
    HikariDataSource dataSource = new HikariDataSource(pool);
    try {
      return open(dataSource, config, dataSource::close);
    } catch (RuntimeException | Error e) {
      dataSource.close();
      throw e;
    }
  }

  /**
   * Finds a queue that has been declared.
   *
   * @throws dev.trunkline.error.QueueNotFoundException if there is none
   */
  public Queue queue(String name) {
    return queues.get(name);
  }

  /**
   * Declares a queue: makes it if it is not there, and finds it if it is there with this
   * configuration. Idempotent.
   *
   * @param name 1 to 120 letters, digits, dots, hyphens or underscores, beginning with a letter or
   *     digit
   * @throws dev.trunkline.error.QueueConfigMismatchException if it is there with another
   *     configuration
   */
  public Queue queue(String name, QueueConfig config) {
    return queues.declare(name, config);
  }

  /**
   * Declares a queue and gives it this configuration if it has another one. Limits and delays are
   * obeyed by every process at once, the payload limit when a process next declares or finds the
   * queue.
   */
  public Queue alterQueue(String name, QueueConfig config) {
    return queues.alter(name, config);
  }

  /** The names of all queues, sorted. */
  public List<String> queueNames() {
    return queues.names();
  }

  /**
   * What {@link Queue#stats} answers, of all queues there are, by name and in the order of the
   * names; one statement, which counts nothing.
   */
  public Map<String, QueueStats> queueStats() {
    return queues.stats();
  }

  /**
   * Finds a topic that has been declared.
   *
   * @throws dev.trunkline.error.TopicNotFoundException if there is none
   */
  public Topic topic(String name) {
    return topics.get(name);
  }

  /**
   * Declares a topic: makes it if it is not there, and finds it if it is there with this
   * configuration. Idempotent.
   *
   * @param name 1 to 120 letters, digits, dots, hyphens or underscores, beginning with a letter or
   *     digit
   * @throws dev.trunkline.error.TopicConfigMismatchException if it is there with another
   *     configuration
   */
  public Topic topic(String name, TopicConfig config) {
    return topics.declare(name, config);
  }

  /**
   * Declares a topic and gives it this configuration if it has another one. Partitions may become
   * more; what that does to keys says {@link TopicConfig#partitions}.
   *
   * @throws IllegalArgumentException if the partitions would become fewer
   */
  public Topic alterTopic(String name, TopicConfig config) {
    return topics.alter(name, config);
  }

  /**
   * An inbox that remembers for {@link Inbox#DEFAULT_RETENTION}; see {@link #inbox(String,
   * Duration)}.
   */
  public Inbox inbox(String consumer) {
    return inbox(consumer, Inbox.DEFAULT_RETENTION);
  }

  /**
   * An inbox: which messages a consumer has handled, for handlers that write in a transaction of
   * their own. Need not be declared; all that use the name share it.
   *
   * @param consumer who remembers: 1 to 120 letters, digits, dots, hyphens or underscores,
   *     beginning with a letter or digit
   * @param retention how long a message is remembered: 1 ms to 3,650 days. Longer than a message
   *     may take from its first delivery to its last, replays of dead letters included
   */
  public Inbox inbox(String consumer, Duration retention) {
    return new Inbox(database, consumer, retention);
  }

  /** The names of all topics, sorted. */
  public List<String> topicNames() {
    return topics.names();
  }

  /**
   * How far all groups of all topics are behind, in the order of their names; one statement, which
   * changes nothing. Unlike {@link dev.trunkline.topic.Group#lag} it does not give offsets to what
   * has been committed: records count when they have theirs, which takes up to a poll interval
   * while anybody reads the topic, else up to five, as long as a process takes part in the {@link
   * TrunklineConfig#withUpkeep upkeep}.
   */
  public List<GroupLag> groupLags() {
    return topics.lags();
  }

  /**
   * Closes all consumers as {@link dev.trunkline.queue.Consumer#close()} does, all at once, gives
   * back what this process holds, stops the background threads, and closes the pool if it is its
   * own. Idempotent and safe against interrupts.
   */
  @Override
  public void close() {
    topics.close(() -> queues.close(afterwards));
  }
}
