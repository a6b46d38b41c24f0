package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.deadletter.DeadLetters;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.error.QueueFullException;
import dev.trunkline.error.QueueNotFoundException;
import dev.trunkline.internal.db.Session;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import java.sql.Connection;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import org.jdbi.v3.core.Handle;

/**
 * A point-to-point queue: each message goes to one consumer at a time, until one has handled it.
 * Thread-safe.
 *
 * <p>All methods throw {@link QueueNotFoundException} if the queue has been deleted, {@link
 * DatabaseException} if the database cannot be reached, and {@link IllegalArgumentException} for
 * arguments out of range.
 */
public final class Queue {
  private static final int MAX_PEEK = 1000;

  private final Engine engine;
  private final QueueRow row;
  private final Sender sender;
  private final Optional<BoundedSender> bounded;
  private final Receiver receiver;
  private final Receiver deletingReceiver;
  private final Recall recall;

  Queue(Engine engine, QueueRow row) {
    this.engine = engine;
    this.row = row;
    this.sender = new Sender(row);
    this.bounded =
        row.config()
            .flowRules()
            .bounds()
            .map(bounds -> engine.flowWatch().gauge(row, bounds))
            .map(gauge -> new BoundedSender(engine, row, sender, gauge));
    this.receiver = new Receiver(engine, row, new Claimer(engine, row));
    this.deletingReceiver = new Receiver(engine, row, Claimer.deleting(engine, row));
    this.recall = new Recall(engine, row);
  }

  /** The name. */
  public String name() {
    return row.name();
  }

  /** The configuration, as it was when this object was made. */
  public QueueConfig config() {
    return row.config();
  }

  /**
   * Sends a message in a transaction of its own; it is on disk when this returns.
   *
   * @return the id it was given
   * @throws PayloadTooLargeException if the payload is over the queue's limit; nothing was sent
   * @throws QueueFullException if the queue is bounded and has no room, or none in time
   */
  public MessageId send(Message message) {
    return sendAll(List.of(message)).get(0);
  }

  /**
   * Sends messages in one transaction of its own, all or none; they are on disk when this returns.
   * Any number: they are stored in batches, so the memory needed is that of the messages
   * themselves.
   *
   * @return the ids in the order of the messages
   * @throws PayloadTooLargeException if a payload is over the queue's limit; nothing was sent
   * @throws QueueFullException if the queue is bounded and has no room, or none in time
   * @throws IllegalArgumentException if they would not fit into a bounded queue that is empty
   */
  public List<MessageId> sendAll(Iterable<Message> messages) {
    engine.requireOpen();
    requireNonNull(messages, "messages");
    Sender.Sent sent =
        bounded
            .map(sending -> sending.send(messages))
            .orElseGet(
                () ->
                    isOneBatch(messages)
                        ? engine.database().run(session -> sender.send(session, messages))
                        : engine
                            .database()
                            .inTransaction(session -> sender.send(session, messages)));
    committed(sent);
    return sent.ids();
  }

  /** Stores one message in a transaction of ours. */
  Sender.Sent store(Session session, Message message) {
    return stored(session, List.of(message));
  }

  /** Within a transaction: never waits for room. */
  private Sender.Sent stored(Session session, Iterable<Message> messages) {
    return bounded.isPresent()
        ? bounded.get().send(session, messages)
        : sender.send(session, messages);
  }

  /** Tells what a transaction of ours has sent. */
  void committed(Sender.Sent sent) {
    engine.wakeups().ready(row.id(), sent.ready());
    sent.soonestMs().ifPresent(engine.wakeups()::dueIn);
  }

  /** Sends as part of the caller's transaction, and tells what can be told before its commit. */
  Sender.Sent sendIn(Session session, Iterable<Message> messages) {
    Sender.Sent sent = stored(session, messages);
    if (engine.isListenedTo(row.id())) {
      engine.announcer().inCallersTransaction(session, row.id(), sent);
    }
    engine.signals().expect(row.id());
    return sent;
  }

  /**
   * Sends a message as part of the caller's transaction: it exists if and when that commits. The
   * connection is neither committed, rolled back nor closed; in auto-commit mode the message is
   * committed at once.
   *
   * @return the id it was given
   * @throws PayloadTooLargeException if the payload is over the queue's limit; nothing was sent,
   *     the transaction lives
   * @throws QueueFullException if the queue is bounded and has no room now; nothing was sent, the
   *     transaction lives
   */
  public MessageId send(Connection connection, Message message) {
    return sendAll(connection, List.of(message)).get(0);
  }

  /**
   * Sends messages as part of the caller's transaction: they exist if and when that commits.
   *
   * @return the ids in the order of the messages
   * @throws PayloadTooLargeException if a payload is over the queue's limit; what was stored before
   *     it goes when the transaction is rolled back
   */
  public List<MessageId> sendAll(Connection connection, Iterable<Message> messages) {
    engine.requireOpen();
    requireNonNull(messages, "messages");
    return engine.database().on(connection, session -> sendIn(session, messages).ids());
  }

  /** Like {@link #send(Connection, Message)}, with the connection of a Jdbi handle. */
  public MessageId send(Handle handle, Message message) {
    return send(handle.getConnection(), message);
  }

  /** Like {@link #sendAll(Connection, Iterable)}, with the connection of a Jdbi handle. */
  public List<MessageId> sendAll(Handle handle, Iterable<Message> messages) {
    return sendAll(handle.getConnection(), messages);
  }

  /**
   * Opens a named producer, whose sends are numbered: what it has sent before is not sent again,
   * however often it is tried, after a crash and from another process, too. Opening it again fences
   * the one that was opened before, and waits for transactions of that which have not ended.
   *
   * @param name 1 to 120 letters, digits, dots, hyphens or underscores, beginning with a letter or
   *     digit; belongs to this queue
   */
  public Producer producer(String name) {
    engine.requireOpen();
    return Producer.open(this, engine.database(), row, name);
  }

  /**
   * Cancels a message that has not been delivered: ready, delayed, or backing off after a failed
   * delivery. It is gone, and leaves no dead letter; its deduplication id stays known.
   *
   * @return whether it was in time; too late changes nothing
   */
  public Cancellation cancel(MessageId id) {
    return cancellation(recall.now(id, RecallStore.Wish.toCancel()));
  }

  /**
   * Cancels a message if and when the caller's transaction commits. Until then nobody gets it, and
   * the messages that were sent by one call with it, up to 31, wait with it.
   *
   * @return whether it was in time; too late changes nothing
   */
  public Cancellation cancel(Connection connection, MessageId id) {
    return cancellation(recall.in(connection, id, RecallStore.Wish.toCancel()));
  }

  /**
   * Gives a message that has not been delivered (ready, delayed, or backing off) another time. It
   * then goes to the end of the line; its time to live goes on.
   *
   * @param after counted from now, by the database's clock: zero to 3,650 days
   * @return whether it was in time; too late changes nothing
   */
  public Rescheduling reschedule(MessageId id, Duration after) {
    return rescheduling(recall.now(id, RecallStore.Wish.toWait(after)));
  }

  /**
   * As {@link #reschedule(MessageId, Duration)}.
   *
   * @param at by the database's clock, before the year 10000; an instant in the past means now
   */
  public Rescheduling reschedule(MessageId id, Instant at) {
    return rescheduling(recall.now(id, RecallStore.Wish.toWaitUntil(at)));
  }

  /**
   * As {@link #reschedule(MessageId, Duration)}, if and when the caller's transaction commits. See
   * {@link #cancel(Connection, MessageId)}.
   */
  public Rescheduling reschedule(Connection connection, MessageId id, Duration after) {
    return rescheduling(recall.in(connection, id, RecallStore.Wish.toWait(after)));
  }

  /**
   * As {@link #reschedule(MessageId, Instant)}, if and when the caller's transaction commits. See
   * {@link #cancel(Connection, MessageId)}.
   */
  public Rescheduling reschedule(Connection connection, MessageId id, Instant at) {
    return rescheduling(recall.in(connection, id, RecallStore.Wish.toWaitUntil(at)));
  }

  private static Cancellation cancellation(boolean inTime) {
    return inTime ? Cancellation.CANCELLED : Cancellation.TOO_LATE;
  }

  private static Rescheduling rescheduling(boolean inTime) {
    return inTime ? Rescheduling.RESCHEDULED : Rescheduling.TOO_LATE;
  }

  /**
   * Receives up to so many messages without waiting.
   *
   * @param maxMessages 1 to 10,000
   */
  public List<Delivery> receive(int maxMessages) {
    return receive(ReceiveOptions.defaults().withMaxMessages(maxMessages));
  }

  /**
   * Receives messages: hidden from other consumers until they are settled or their visibility
   * timeout is over. Pulled deliveries are not renewed by themselves; see {@link Delivery#extend}.
   *
   * @return highest priority first, then in the order of sending; fewer than asked for, or none, if
   *     there are no more, if others are claiming the same ones at this moment, or if the thread is
   *     interrupted while it waits
   * @throws IllegalStateException if the queue is for a single active consumer
   */
  public List<Delivery> receive(ReceiveOptions options) {
    engine.requireOpen();
    requireSharing();
    return receiver.receive(requireNonNull(options, "options"));
  }

  /**
   * Receives up to so many messages for good, without waiting; see {@link
   * #receiveAndDelete(ReceiveOptions)}.
   *
   * @param maxMessages 1 to 10,000
   */
  public List<ReceivedMessage> receiveAndDelete(int maxMessages) {
    return receiveAndDelete(ReceiveOptions.defaults().withMaxMessages(maxMessages));
  }

  /**
   * Receives messages and deletes them, in one statement: at most once. Nothing is settled, and
   * nothing comes back: what the caller does not handle is lost, and so is all of a call that fails
   * with a {@link DatabaseException} after its commit.
   *
   * @return as {@link #receive(ReceiveOptions)}
   * @throws IllegalArgumentException if the options have a visibility timeout: nothing is hidden
   * @throws IllegalStateException if the queue is ordered by key
   */
  public List<ReceivedMessage> receiveAndDelete(ReceiveOptions options) {
    engine.requireOpen();
    requireNotKeyed("receiveAndDelete");
    requireSharing();
    requireNonNull(options, "options")
        .visibilityTimeout()
        .ifPresent(timeout -> refuse("visibilityTimeout", String.valueOf(timeout)));
    return deletingReceiver.receive(options).stream().map(ReceivedMessage::of).toList();
  }

  /** What the claim deletes is in no lease, so nothing would keep the next of its key back. */
  private void requireNotKeyed(String method) {
    if (row.config().ordering().isKeyed()) {
      throw new IllegalStateException(
          "%s is not to be had of queue \"%s\", which is ordered by key"
              .formatted(method, row.name()));
    }
  }

  private void requireSharing() {
    if (row.config().flowRules().singleActiveConsumer()) {
      throw new IllegalStateException(
          "queue \"%s\" is for a single active consumer: consume from it, nothing can be received"
              .formatted(row.name()));
    }
  }

  private static void refuse(String argument, String value) {
    throw new IllegalArgumentException(
        "%s means nothing where a claim deletes: %s".formatted(argument, value));
  }

  /**
   * Acknowledges deliveries of this queue together: one statement for whole batches, whatever their
   * number.
   *
   * @throws LeaseLostException for the first that was no longer held, after all others have been
   *     acknowledged
   */
  public void ackAll(Collection<Delivery> deliveries) {
    engine
        .settler()
        .settleNow(
            deliveries.stream()
                .map(delivery -> new Settlement(delivery, Verdict.of(Outcome.ack())))
                .toList());
  }

  /** Consumes with the default configuration; see {@link #consume(ConsumerConfig, Handler)}. */
  public Consumer consume(Handler handler) {
    return consume(ConsumerConfig.defaults(), handler);
  }

  /**
   * Hands messages to a handler, at least once each, until the consumer or the Trunkline is closed.
   * Any number of consumers in any number of processes share the queue.
   */
  public Consumer consume(ConsumerConfig config, Handler handler) {
    return engine.consume(
        row,
        requireNonNull(config, "config"),
        new Claimer(engine, row),
        new DirectHandling(requireNonNull(handler, "handler")));
  }

  /**
   * Consumes in transactions with the default configuration; see {@link
   * #consumeTransactionally(ConsumerConfig, TransactionalHandler)}.
   */
  public Consumer consumeTransactionally(TransactionalHandler handler) {
    return consumeTransactionally(ConsumerConfig.defaults(), handler);
  }

  /**
   * Hands messages to a handler whose SQL, on the connection it is given, commits together with the
   * acknowledgement: in this database each message takes effect once, whatever crashes. What the
   * handler does elsewhere may happen again.
   *
   * <p>The transaction begins by locking the delivery, so nobody else gets the message while it is
   * open. Only {@link Outcome#ack} commits; any other outcome, and an exception, rolls back what
   * the handler did, and then settles the message in a transaction of its own: the attempt counts,
   * and at the limit the message is dead. If the delivery is lost before the handler is called, it
   * is not called. If the answer to the commit is lost, the message is looked for before anything
   * is done again.
   *
   * <p>Each running handler takes a connection of the pool, at READ COMMITTED. Of a HikariCP pool
   * three are left alone: more handlers than that wait. The commit is as durable as the pool's
   * connections say. A transaction that is idle for longer than the visibility timeout is ended by
   * the server, and counts as failed.
   */
  public Consumer consumeTransactionally(ConsumerConfig config, TransactionalHandler handler) {
    requireNonNull(config, "config");
    requireNonNull(handler, "handler");
    return engine.consume(
        row,
        config,
        Claimer.singly(engine, row),
        new TransactionalHandling(row.name(), engine.database(), handler));
  }

  /**
   * Consumes at most once with the default configuration; see {@link
   * #consumeAtMostOnce(ConsumerConfig, AtMostOnceHandler)}.
   */
  public Consumer consumeAtMostOnce(AtMostOnceHandler handler) {
    return consumeAtMostOnce(ConsumerConfig.defaults(), handler);
  }

  /**
   * Hands messages to a handler, once each at most: the claim deletes them, and there is nothing to
   * settle. A message is lost if the handler throws, if the process dies or loses its connection
   * between the claim and the end of the handler (what is prefetched included), or if the consumer
   * closes before what it has claimed is handled within the timeout.
   *
   * @throws IllegalArgumentException if the configuration has a visibility timeout or exceptions
   *     that are not retried: nothing is hidden here, and nothing retried
   * @throws IllegalStateException if the queue is ordered by key
   */
  public Consumer consumeAtMostOnce(ConsumerConfig config, AtMostOnceHandler handler) {
    requireNonNull(config, "config");
    requireNonNull(handler, "handler");
    requireNotKeyed("consumeAtMostOnce");
    config
        .visibilityTimeout()
        .ifPresent(timeout -> refuse("visibilityTimeout", String.valueOf(timeout)));
    if (!config.nonRetryable().isEmpty()) {
      refuse("nonRetryable", String.valueOf(config.nonRetryable()));
    }
    return engine.consume(
        row, config, Claimer.deleting(engine, row), new AtMostOnceHandling(handler));
  }

  /**
   * Looks at ready messages, in the order of delivery, without touching them; where messages wait
   * by key, key by key.
   *
   * @param limit 1 to 1,000
   */
  public List<PeekedMessage> peek(int limit) {
    return peek(MessageState.READY, limit);
  }

  /**
   * Looks at messages in a state, next ones first, without touching them.
   *
   * @param limit 1 to 1,000
   */
  public List<PeekedMessage> peek(MessageState state, int limit) {
    requireNonNull(state, "state");
    if (limit < 1 || limit > MAX_PEEK) {
      throw new IllegalArgumentException("limit must be between 1 and 1000: " + limit);
    }
    return engine.database().run(session -> PeekStore.peek(session, row, state, limit));
  }

  /**
   * How many messages are in each state, and how old the oldest is; reads a few rows, whatever the
   * backlog.
   */
  public QueueStats stats() {
    return engine.stats(row).orElseThrow(() -> new QueueNotFoundException(row.name()));
  }

  /** The dead letters of this queue. */
  public DeadLetters deadLetters() {
    return new DeadLetters(engine.database(), row.name(), () -> engine.signals().expect(row.id()));
  }

  /**
   * The keys that wait, in their order, each behind a message that was given up: with {@link
   * dev.trunkline.retry.FailurePolicy#PARK}.
   *
   * @param limit 1 to 1,000
   */
  public List<ParkedKey> parkedKeys(int limit) {
    if (limit < 1 || limit > MAX_PEEK) {
      throw new IllegalArgumentException("limit must be between 1 and 1000: " + limit);
    }
    return engine.database().run(session -> KeyStore.parked(session, row.id(), limit));
  }

  /**
   * Lets a parked key go on. If the message that was given up is replayed first, it is the first
   * that is delivered; else the key goes on without it.
   *
   * @return whether the key was parked
   */
  public boolean releaseKey(String key) {
    requireNonNull(key, "key");
    List<Lanes.Announced> turns =
        engine.database().run(session -> KeyStore.release(session, row.id(), key));
    engine.wakeups().ready(row.id(), turns);
    return !turns.isEmpty();
  }

  /**
   * Removes all that is ready, scheduled or in flight now, for good; dead letters stay. Who settles
   * a delivery that was in flight is told that its lease is lost. What is sent while this runs
   * stays.
   *
   * @return how many messages were removed
   */
  public long purge() {
    return new Purge(engine.database(), row.id()).run();
  }

  /**
   * Pauses delivery, in all processes and until {@link #resume}: nothing more is claimed once this
   * returns. Messages can be sent, and what is in flight can be settled.
   */
  public void pause() {
    setPaused(true);
  }

  /** Resumes delivery. */
  public void resume() {
    setPaused(false);
    engine.signals().expect(row.id());
  }

  /**
   * Deletes the queue and its messages; its dead letters stay, and belong to whatever queue is
   * declared under the name next. The name is free at once.
   */
  public void delete() {
    if (!engine.database().run(session -> QueueStore.delete(session, row.id()))) {
      throw new QueueNotFoundException(row.name());
    }
    new Purge(engine.database(), row.id()).everything();
  }

  private void setPaused(boolean paused) {
    if (!engine.database().run(session -> QueueStore.pause(session, row.id(), paused))) {
      throw new QueueNotFoundException(row.name());
    }
  }

  /** One statement needs no transaction around it: that saves two round trips. */
  private static boolean isOneBatch(Iterable<Message> messages) {
    if (!(messages instanceof Collection<Message> collection) || collection.size() > 100) {
      return false;
    }
    long bytes = 0;
    boolean anyScheduled = false;
    for (Message message : collection) {
      bytes += message.payload().length;
      anyScheduled |= message.delay().isPresent() || message.deliverAt().isPresent();
    }
    return bytes <= OutgoingBatch.MAX_BYTES && (!anyScheduled || collection.size() == 1);
  }

  @Override
  public String toString() {
    return "Queue[" + row.name() + "]";
  }
}
