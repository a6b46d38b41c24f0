package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.internal.work.VisibilityTimeout;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A group that shares a topic out record by record, like a queue: any number of consumers, each
 * record settled by itself, in no order. Other groups of the topic get the same records. No payload
 * is copied. Thread-safe.
 *
 * <p>This object is one member of the group, from the first receive or consume until it is closed;
 * a process may have several. All methods throw {@link dev.trunkline.error.DatabaseException} if
 * the database cannot be reached.
 */
public final class SharedGroup implements AutoCloseable, MemberConsumer {
  private final TopicEngine engine;
  private final TopicRow topic;
  private final SharedGroupRow row;
  private final Set<SharedConsumer> consumers = ConcurrentHashMap.newKeySet();
  private @Nullable Joined joined;
  private volatile boolean closed;

  /** What comes with being a member. */
  private record Joined(
      SharedMember member, SharedSettler settler, SharedClaimer claimer, SharedReceiver receiver) {}

  SharedGroup(TopicEngine engine, TopicRow topic, SharedGroupRow row) {
    this.engine = engine;
    this.topic = topic;
    this.row = row;
  }

  /** The name. */
  public String name() {
    return row.name();
  }

  /** The name of the topic. */
  public String topic() {
    return topic.name();
  }

  /**
   * Claims records and answers them; waits while there is nothing. They are hidden from the group's
   * other consumers for its visibility timeout; settle each by its own methods, or {@link #ackAll}.
   *
   * @return none if the wait is over, or the calling thread was interrupted, and stays so
   * @throws GroupNotFoundException if the group has been deleted
   */
  public List<SharedDelivery> receive(PollOptions options) {
    return join().receiver().receive(requireNonNull(options, "options"), Optional.empty());
  }

  /**
   * The same, with another visibility timeout.
   *
   * @param visibilityTimeout 1 ms to 12 h
   */
  public List<SharedDelivery> receive(PollOptions options, Duration visibilityTimeout) {
    Duration checked = VisibilityTimeout.check("visibilityTimeout", visibilityTimeout);
    return join().receiver().receive(requireNonNull(options, "options"), Optional.of(checked));
  }

  /**
   * Acks many deliveries of this group in few statements. All that are held are acked; then, if
   * some were not, the exception for the first of them is thrown.
   *
   * @throws LeaseLostException if one was no longer held, or was settled before
   */
  public void ackAll(Collection<SharedDelivery> deliveries) {
    join()
        .settler()
        .settleNow(
            deliveries.stream()
                .map(delivery -> new SharedSettlement(delivery, new Verdict.Done()))
                .toList());
  }

  /** Handles records with ten handlers at a time, until the consumer is closed. */
  public SharedConsumer consume(SharedHandler handler) {
    return consume(SharedConsumerConfig.defaults(), handler);
  }

  /**
   * Handles records until the consumer, or this object, is closed. Leases of what takes long are
   * renewed by themselves.
   *
   * @throws GroupNotFoundException if the group has been deleted
   */
  public SharedConsumer consume(SharedConsumerConfig config, SharedHandler handler) {
    return consume(config, SharedHandling.direct(handler));
  }

  /**
   * Handles records in transactions, with ten handlers at a time; see {@link
   * #consumeTransactionally(SharedConsumerConfig, SharedTransactionalHandler)}.
   */
  public SharedConsumer consumeTransactionally(SharedTransactionalHandler handler) {
    return consumeTransactionally(SharedConsumerConfig.defaults(), handler);
  }

  /**
   * Hands records to a handler whose SQL, on the connection it is given, commits together with the
   * acknowledgement: in this database each record takes effect once for this group, whatever
   * crashes. What the handler does elsewhere may happen again.
   *
   * <p>The transaction begins by locking the delivery, so nobody else of the group gets the record
   * while it is open. Only {@link Outcome#ack} commits; any other outcome, and an exception, rolls
   * back what the handler did, and then settles the record in a transaction of its own: the attempt
   * counts, and at the limit the record is dead. If the delivery is lost before the handler is
   * called, it is not called. If the answer to the commit is lost, the record is looked for before
   * anything is done again.
   *
   * <p>Each running handler takes a connection of the pool, at READ COMMITTED. Of a HikariCP pool
   * three are left alone by these handlers and those of queues together: more handlers than that
   * wait. The commit is as durable as the pool's connections say. A transaction that is idle for
   * longer than the visibility timeout is ended by the server, and counts as failed.
   *
   * @throws GroupNotFoundException if the group has been deleted
   */
  public SharedConsumer consumeTransactionally(
      SharedConsumerConfig config, SharedTransactionalHandler handler) {
    requireNonNull(handler, "handler");
    return consume(
        config, new SharedTransactionalHandling(row.title(), engine.database(), handler));
  }

  private SharedConsumer consume(SharedConsumerConfig config, SharedHandling handling) {
    requireNonNull(config, "config");
    Joined as = join();
    SharedConsumer consumer =
        new SharedConsumer(
            this,
            config,
            handling,
            as.member(),
            as.settler(),
            new SharedClaimer(engine.shared(), topic, as.member(), as.settler()));
    consumers.add(consumer);
    return consumer.start();
  }

  /**
   * What the group has still to do, per partition, at this moment. Published records count from
   * when they have an offset.
   */
  public List<SharedLag> lag() {
    engine.requireOpen();
    return engine.database().run(session -> SharedGroupStore.lag(session, row.id()));
  }

  /**
   * The records that the group has given up. A replayed one is delivered to this group only, with
   * its own offset; attempts start from zero.
   */
  public GroupDeadLetters deadLetters() {
    return asGroup().deadLetters();
  }

  /**
   * Lets the group begin anew at another place: what it had claimed and what waited to be delivered
   * again is forgotten, its dead letters stay. No member may be running, in any process.
   *
   * @throws dev.trunkline.error.GroupBusyException if members are running
   */
  public void reset(StartFrom to) {
    asGroup().reset(requireNonNull(to, "to"));
  }

  /**
   * Pauses delivery, in all processes and until {@link #resume}: nothing more is claimed once this
   * returns, pulled or pushed. Records can be published, and what is in flight can be settled:
   * handlers that run finish, and one that is just being called may still be. What a consumer has
   * claimed ahead it gives back, uncounted, as soon as it hears of the pause: in this process now,
   * in others by a notification, or within the poll interval (1 s). Retention keeps what the group
   * has not settled. Idempotent.
   *
   * @throws GroupNotFoundException if the group has been deleted
   */
  public void pause() {
    setPaused(true);
  }

  /**
   * Resumes delivery; wakes those who wait for records, in all processes. Idempotent.
   *
   * @throws GroupNotFoundException if the group has been deleted
   */
  public void resume() {
    setPaused(false);
  }

  /**
   * Whether delivery is paused, by whatever process: asks the database.
   *
   * @throws GroupNotFoundException if the group has been deleted
   */
  public boolean isPaused() {
    engine.requireOpen();
    return engine
        .database()
        .run(session -> SharedGroupStore.isPaused(session, row.id()))
        .orElseThrow(() -> new GroupNotFoundException(row.topic(), row.name()));
  }

  private void setPaused(boolean paused) {
    engine.requireOpen();
    if (!engine.database().<Boolean>run(s -> SharedGroupStore.pause(s, row.id(), paused))) {
      throw new GroupNotFoundException(row.topic(), row.name());
    }
    engine.shared().paused(row.id(), paused);
  }

  /** Closes this object and deletes the group with its position; its dead letters stay. */
  public void delete() {
    close();
    asGroup().delete();
  }

  private Group asGroup() {
    return new Topic(engine, topic).group(row.name());
  }

  Tail tail() {
    return engine.tail(topic);
  }

  void forget(SharedConsumer consumer) {
    consumers.remove(consumer);
  }

  private synchronized Joined join() {
    engine.requireOpen();
    if (closed) {
      throw new IllegalStateException("this shared group is closed");
    }
    Joined as = joined;
    if (as == null) {
      SharedMember member = engine.shared().join(row);
      SharedSettler settler = new SharedSettler(engine.shared(), member);
      SharedClaimer claimer = new SharedClaimer(engine.shared(), topic, member, settler);
      as =
          new Joined(
              member, settler, claimer, new SharedReceiver(member, claimer, tail(), () -> closed));
      joined = as;
      engine.groups().opened(this);
      engine.listen();
    }
    return as;
  }

  @Override
  public boolean runsOnThisThread() {
    return consumers.stream().anyMatch(SharedConsumer::runsOnThisThread);
  }

  /**
   * Closes the consumers of this object, gives back, uncounted, what was received and not settled,
   * and leaves the group. Idempotent.
   */
  @Override
  public void close() {
    closed = true;
    List.copyOf(consumers).forEach(SharedConsumer::close);
    Joined as;
    synchronized (this) {
      as = joined;
      joined = null;
    }
    if (as != null) {
      as.member().wake();
      engine.shared().leave(as.member());
      engine.groups().closed(this);
    }
  }

  @Override
  public String toString() {
    return "SharedGroup[" + row.title() + "]";
  }
}
