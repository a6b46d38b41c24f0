package dev.trunkline.topic;

import dev.trunkline.internal.db.Broadcast;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Notifications;
import dev.trunkline.internal.loop.Loop;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/** What all topics of one process share: the tails, and the word that goes round. Thread-safe. */
final class TopicEngine {
  /** A notification that something was published: this, a comma, the id of the topic. */
  private static final String PUBLISHED = "t,";

  /** A notification that partitions of a group have moved: this, a comma, the id of the group. */
  private static final String MOVED = "g,";

  private final Database database;
  private final Notifications notifications;
  private final TopicsConfig config;
  private final Broadcast broadcast;
  private final LogReader reader;
  private final GroupEngine groups;
  private final Loop upkeep;
  private final SharedEngine shared;
  private final Map<Integer, Tail> tails = new ConcurrentHashMap<>();
  private final AtomicBoolean closed = new AtomicBoolean();

  TopicEngine(
      Database database, Notifications notifications, Broadcast broadcast, TopicsConfig config) {
    this.database = database;
    this.notifications = notifications;
    this.broadcast = broadcast;
    this.config = config;
    this.reader = new LogReader(database);
    this.groups = new GroupEngine(database, config.pollInterval(), config.notifies());
    this.upkeep =
        new Loop("topic-upkeep", new Upkeep(database, config.listener(), config.pollInterval()));
    this.shared = new SharedEngine(database, broadcast, config.pollInterval());
  }

  TopicEngine start() {
    notifications.subscribe(
        this::heard,
        () -> {
          tails.values().forEach(Tail::published);
          groups.lookAgain();
          shared.lookAgain();
        });
    if (config.upkeep()) {
      upkeep.start();
    }
    return this;
  }

  Database database() {
    return database;
  }

  LogReader reader() {
    return reader;
  }

  GroupEngine groups() {
    return groups;
  }

  SharedEngine shared() {
    return shared;
  }

  TopicsConfig config() {
    return config;
  }

  Broadcast broadcast() {
    return broadcast;
  }

  /** The end of this topic's log, one for the whole process. */
  Tail tail(TopicRow topic) {
    return tails.computeIfAbsent(
        topic.id(), id -> new Tail(database, reader, topic, config.pollInterval()));
  }

  /** Begins to listen, since somebody waits for records. */
  void listen() {
    if (config.listens()) {
      notifications.start();
    }
  }

  /** A topic was declared, altered or deleted: there may be something to do for it. */
  void changed() {
    upkeep.wake();
  }

  /** Whether somebody reads the end of this topic here, and little comes in. */
  boolean isCalm(int topicId) {
    Tail tail = tails.get(topicId);
    return tail != null && tail.isCalm();
  }

  /** Records of this topic were committed by a transaction of ours. */
  void published(int topicId) {
    wake(topicId);
    broadcast.tell(PUBLISHED + topicId);
  }

  /** What goes round when a caller's transaction commits that has published to this topic. */
  String publication(int topicId) {
    return PUBLISHED + topicId;
  }

  /** Records of this topic may be committed any moment. */
  void wake(int topicId) {
    Tail tail = tails.get(topicId);
    if (tail != null) {
      tail.published();
    }
  }

  private void heard(String text) {
    try {
      if (text.startsWith(PUBLISHED)) {
        wake(Integer.parseInt(text.substring(PUBLISHED.length())));
      } else if (text.startsWith(MOVED)) {
        groups.announced(Integer.parseInt(text.substring(MOVED.length())));
      } else if (text.startsWith(SharedEngine.PAUSED)) {
        shared.lookAgain();
      } else if (text.startsWith(SharedEngine.DUE)) {
        shared.announced(Integer.parseInt(text.substring(SharedEngine.DUE.length())));
      }
    } catch (NumberFormatException e) {
      // Not ours: whoever it was meant for will look by itself.
      return;
    }
  }

  void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("this Trunkline is closed");
    }
  }

  /** Stops what reads, then the tails. Idempotent. */
  void close(Runnable afterwards) {
    if (closed.compareAndSet(false, true)) {
      upkeep.close();
      groups.closeAll(
          () -> {
            shared.close();
            tails.values().forEach(Tail::close);
            afterwards.run();
          });
    }
  }
}
