package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.internal.name.ValidName;
import dev.trunkline.message.Message;
import java.sql.Connection;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jdbi.v3.core.Handle;

/**
 * An append-only log in partitions: each record goes to every group that reads it, in the order of
 * its partition. Thread-safe.
 *
 * <p>All methods throw {@link TopicNotFoundException} if the topic has been deleted, {@link
 * DatabaseException} if the database cannot be reached, and {@link IllegalArgumentException} for
 * arguments out of range.
 */
public final class Topic {
  /** Most records that one {@link #read} answers. */
  public static final int MAX_READ = 10_000;

  private static final long READ_BYTES = 64L * 1024 * 1024;

  private final TopicEngine engine;
  private final TopicRow row;
  private final Publisher publisher;
  private final OwnPublisher ownPublisher;

  Topic(TopicEngine engine, TopicRow row) {
    this.engine = engine;
    this.row = row;
    this.publisher = new Publisher(row);
    this.ownPublisher = new OwnPublisher(engine, row, publisher);
  }

  /** The name. */
  public String name() {
    return row.name();
  }

  /** The configuration, as it was when this object was made. */
  public TopicConfig config() {
    return row.config();
  }

  /**
   * Publishes a message in a transaction of its own; it is on disk when this returns.
   *
   * @return what the record is known by; its offset is not known yet
   * @throws PayloadTooLargeException if the payload is over the topic's limit; nothing was
   *     published
   */
  public RecordId publish(Message message) {
    return publishAll(List.of(message)).get(0);
  }

  /**
   * Publishes messages in one transaction of its own, all or none; they are on disk when this
   * returns. Any number: they are stored in batches.
   *
   * @return what the records are known by, in the order of the messages
   * @throws PayloadTooLargeException if a payload is over the topic's limit; nothing was published
   */
  public List<RecordId> publishAll(Iterable<Message> messages) {
    engine.requireOpen();
    requireNonNull(messages, "messages");
    return ownPublisher.publish(messages);
  }

  /**
   * Publishes a message as part of the caller's transaction: it exists if and when that commits,
   * and only then gets its place in the log. The connection is neither committed, rolled back nor
   * closed; in auto-commit mode the record is committed at once.
   *
   * @return what the record is known by
   * @throws PayloadTooLargeException if the payload is over the topic's limit; nothing was
   *     published, the transaction lives
   */
  public RecordId publish(Connection connection, Message message) {
    return publishAll(connection, List.of(message)).get(0);
  }

  /**
   * Publishes messages as part of the caller's transaction: they exist if and when that commits.
   *
   * @return what the records are known by, in the order of the messages
   * @throws PayloadTooLargeException if a payload is over the topic's limit; what was stored before
   *     it goes when the transaction is rolled back
   */
  public List<RecordId> publishAll(Connection connection, Iterable<Message> messages) {
    engine.requireOpen();
    requireNonNull(messages, "messages");
    return engine
        .database()
        .on(
            connection,
            session -> {
              List<RecordId> ids =
                  publisher.publish(session, messages, RecordStore.Waiting.AS_CALLER_SAYS);
              if (engine.config().notifiesInCallers()) {
                engine.broadcast().tellAtCommit(session, engine.publication(row.id()));
              }
              engine.wake(row.id());
              return ids;
            });
  }

  /** Like {@link #publish(Connection, Message)}, with the connection of a Jdbi handle. */
  public RecordId publish(Handle handle, Message message) {
    return publish(handle.getConnection(), message);
  }

  /** Like {@link #publishAll(Connection, Iterable)}, with the connection of a Jdbi handle. */
  public List<RecordId> publishAll(Handle handle, Iterable<Message> messages) {
    return publishAll(handle.getConnection(), messages);
  }

  /**
   * Reads records of a partition, without a group: in the order of their offsets, from one on.
   * Everything committed before the call is there to be read.
   *
   * @param partition 0 and up
   * @param fromOffset the first offset wanted
   * @param maxRecords 1 to {@link #MAX_READ}
   * @return fewer than asked for at the end of the log, and where compaction or a bound of 64 MiB
   *     has left some out; none at its very end
   * @throws OffsetOutOfRangeException if the offset is before what retention has left, or beyond
   *     the end
   */
  public List<TopicRecord> read(int partition, long fromOffset, int maxRecords) {
    engine.requireOpen();
    if (maxRecords < 1 || maxRecords > MAX_READ) {
      throw new IllegalArgumentException("maxRecords must be between 1 and 10000: " + maxRecords);
    }
    Sequencer.Bounds bounds = boundsFor(partition, fromOffset + maxRecords);
    if (partition < 0 || partition >= bounds.partitions()) {
      throw new IllegalArgumentException(
          "partition must be between 0 and %d: %d".formatted(bounds.partitions() - 1, partition));
    }
    long from = fromOffset;
    while (true) {
      LogReader.Page page = engine.reader().read(row, partition, from, maxRecords, READ_BYTES);
      if (page.logEnd() < bounds.ends().get(partition)) {
        // Restored under us: what came since may have no offsets yet.
        bounds = engine.tail(row).boundsForSure();
        continue;
      }
      // A page of which compaction has left nothing is not the end of the log.
      if (!page.records().isEmpty() || page.next() == from) {
        return page.records();
      }
      from = page.next();
    }
  }

  /** Who reads what has offsets already need not look for what has none yet. */
  private Sequencer.Bounds boundsFor(int partition, long upToOffset) {
    Sequencer.Bounds known = engine.tail(row).bounds();
    return partition >= 0
            && partition < known.partitions()
            && known.ends().get(partition) >= upToOffset
        ? known
        : engine.tail(row).boundsForSure();
  }

  /** The first offset of each partition that is there. */
  public Map<Integer, Long> beginningOffsets() {
    engine.requireOpen();
    return numbered(engine.tail(row).boundsForSure().starts());
  }

  /**
   * The offset of each partition that its next record will have. Everything committed before the
   * call is below.
   */
  public Map<Integer, Long> endOffsets() {
    engine.requireOpen();
    return numbered(engine.tail(row).boundsForSure().ends());
  }

  /**
   * For each partition the first offset that was appended at this time or later; its end, if there
   * is none.
   *
   * @param appendedAt compared with {@link TopicRecord#appendedAt}, by the database's clock
   */
  public Map<Integer, Long> offsetsForTimes(Instant appendedAt) {
    engine.requireOpen();
    long micros = Times.micros("appendedAt", appendedAt);
    engine.tail(row).boundsForSure();
    return engine.database().run(session -> SegmentStore.forTime(session, row.id(), micros));
  }

  /**
   * Joins a group as a member that pulls, and makes the group if it is new.
   *
   * @param group 1 to 120 letters, digits, dots, hyphens or underscores
   * @throws dev.trunkline.error.GroupConfigMismatchException if it is there with another
   *     configuration
   * @throws dev.trunkline.error.InstanceInUseException if a static member of this id is alive
   */
  public GroupConsumer join(String group, GroupConfig config) {
    return join(group, config, PartitionListener.none());
  }

  /**
   * Joins a group as a member that pulls, and makes the group if it is new.
   *
   * @param group 1 to 120 letters, digits, dots, hyphens or underscores
   * @param listener hears which partitions the member has
   * @throws dev.trunkline.error.GroupConfigMismatchException if it is there with another
   *     configuration
   * @throws dev.trunkline.error.InstanceInUseException if a static member of this id is alive
   */
  public GroupConsumer join(String group, GroupConfig config, PartitionListener listener) {
    requireNonNull(listener, "listener");
    GroupRow found = declared(group, config);
    return uninterrupted(() -> new GroupConsumer(engine, row, found, config, listener).opened());
  }

  /**
   * Joins a group as a member whose records are pushed to a handler one by one, and makes the group
   * if it is new. What was handled is committed a few times a second: after a crash, what was
   * handled last is handled again.
   *
   * @param group 1 to 120 letters, digits, dots, hyphens or underscores
   * @throws dev.trunkline.error.GroupConfigMismatchException if it is there with another
   *     configuration
   * @throws dev.trunkline.error.InstanceInUseException if a static member of this id is alive
   */
  public Subscription subscribe(String group, GroupConfig config, RecordHandler handler) {
    return subscribe(group, config, Handling.recordByRecord(handler));
  }

  /**
   * Like {@link #subscribe}, with as many records of a partition at a time as there are, up to the
   * bounds of a page.
   */
  public Subscription subscribeInBatches(String group, GroupConfig config, BatchHandler handler) {
    return subscribe(group, config, Handling.inBatches(handler));
  }

  /**
   * Like {@link #subscribe}, but each record is handled in the transaction that takes the group
   * past it: what the handler does on the connection it is given, and the offset, are committed
   * together or not at all. Each worker keeps a connection of the pool while its handler runs.
   */
  public Subscription subscribeTransactionally(
      String group, GroupConfig config, TransactionalHandler handler) {
    return subscribe(group, config, Handling.inTransactions(handler));
  }

  /**
   * A group that somebody has joined before.
   *
   * @throws dev.trunkline.error.GroupNotFoundException if there is none
   */
  public Group group(String name) {
    engine.requireOpen();
    return new Group(engine, row, groups(), groups().find(ValidName.checked("group", name)));
  }

  /** The names of all groups, sorted. */
  public List<String> groupNames() {
    engine.requireOpen();
    return groups().names();
  }

  /**
   * Makes a group, or gives it this configuration; members that run go on as they are.
   *
   * @throws dev.trunkline.error.GroupConfigMismatchException if it is there, but shared
   */
  public Group alterGroup(String name, GroupConfig config) {
    engine.requireOpen();
    GroupRow altered = groups().alter(ValidName.checked("group", name), GroupKind.ORDERED, config);
    return new Group(engine, row, groups(), altered);
  }

  private Subscription subscribe(String group, GroupConfig config, Handling handling) {
    GroupRow found = declared(group, config);
    return uninterrupted(() -> new Subscription(engine, row, found, config, handling).start());
  }

  /**
   * Declares a shared group: record by record, in no order, with individual acks, like a queue on
   * the log. Makes it if it is not there, and finds it if it is there with this configuration.
   *
   * @return a member of it, to be closed
   * @throws dev.trunkline.error.GroupConfigMismatchException if it is there with another
   *     configuration, or is not shared
   */
  public SharedGroup sharedGroup(String group, SharedGroupConfig config) {
    engine.requireOpen();
    return new SharedGroup(
        engine, row, sharedGroups().declare(ValidName.checked("group", group), config));
  }

  /**
   * Declares a shared group and gives it this configuration if it has another one. All processes
   * obey it at once, but for the session timeout of members that run.
   *
   * @throws dev.trunkline.error.GroupConfigMismatchException if it is there and is not shared
   */
  public SharedGroup alterSharedGroup(String group, SharedGroupConfig config) {
    engine.requireOpen();
    return new SharedGroup(
        engine, row, sharedGroups().alter(ValidName.checked("group", group), config));
  }

  private SharedGroups sharedGroups() {
    return new SharedGroups(engine.database(), row, () -> engine.tail(row).boundsForSure());
  }

  private GroupRow declared(String group, GroupConfig config) {
    engine.requireOpen();
    GroupRow found = groups().declare(ValidName.checked("group", group), GroupKind.ORDERED, config);
    engine.listen();
    return found;
  }

  private Groups groups() {
    return new Groups(
        engine.database(), row.id(), row.name(), () -> engine.tail(row).boundsForSure());
  }

  /** Joining may have to wait for the silence of a static member. */
  private static <T> T uninterrupted(Callable<T> joining) {
    try {
      return joining.call();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while joining a group", e);
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Deletes the topic with its records and groups; its dead letters stay. The name is free at once,
   * the tables go as soon as no transaction uses them.
   */
  public void delete() {
    engine.requireOpen();
    if (!engine.database().run(session -> TopicStore.delete(session, row.id()))) {
      throw new TopicNotFoundException(row.name());
    }
    engine.changed();
  }

  private static Map<Integer, Long> numbered(List<Long> offsets) {
    Map<Integer, Long> numbered = new TreeMap<>();
    for (int partition = 0; partition < offsets.size(); partition++) {
      numbered.put(partition, offsets.get(partition));
    }
    return numbered;
  }

  @Override
  public String toString() {
    return "Topic[" + row.name() + "]";
  }
}
