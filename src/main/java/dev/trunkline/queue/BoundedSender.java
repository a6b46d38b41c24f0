package dev.trunkline.queue;

import dev.trunkline.error.QueueFullException;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.IdleBackoff;
import dev.trunkline.message.Message;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Sends to a bounded queue: looks how much waits before it stores. Thread-safe. */
final class BoundedSender {
  /*
   * The look and the insert are not one step: no sender takes a lock that another would wait for. So what others have
   * stored and not committed is not seen, and a queue may become fuller than it should by what is sent at the same
   * moment. Within a process the senders to a queue that is nearly full go one after the other, so that a single process
   * keeps its bound exactly.
   */
  private static final double NEARLY_FULL = 0.9;

  private static final Duration FIRST_WAIT = Duration.ofMillis(2);
  private static final Duration LAST_WAIT = Duration.ofMillis(50);

  private final Engine engine;
  private final QueueRow queue;
  private final Sender sender;
  private final Gauge gauge;
  private final Bounds bounds;

  BoundedSender(Engine engine, QueueRow queue, Sender sender, Gauge gauge) {
    this.engine = engine;
    this.queue = queue;
    this.sender = sender;
    this.gauge = gauge;
    this.bounds = gauge.bounds();
  }

  /**
   * Sends in a transaction of its own.
   *
   * @throws QueueFullException if there is no room, and none comes in time
   */
  Sender.Sent send(Iterable<Message> messages) {
    Outgoing outgoing = outgoing(messages);
    if (!gauge.line().isLocked()) {
      Optional<Sender.Sent> sent = sendIfRoom(outgoing, NEARLY_FULL);
      if (sent.isPresent()) {
        return sent.get();
      }
    }
    // What was sent before takes no room, so it waits for none.
    return engine
        .database()
        .run(session -> sender.known(session, outgoing.messages()))
        .orElseGet(() -> sendInLine(outgoing));
  }

  /**
   * Sends as part of a caller's transaction: never waits.
   *
   * @throws QueueFullException if there is no room; the transaction lives
   */
  Sender.Sent send(Session session, Iterable<Message> messages) {
    return sendNow(session, outgoing(messages));
  }

  private Sender.Sent sendInLine(Outgoing outgoing) {
    Duration maxWait = bounds.overflow() == Overflow.BLOCK ? bounds.maxWait() : Duration.ZERO;
    long end = System.nanoTime() + maxWait.toNanos();
    try {
      if (maxWait.isZero()) {
        gauge.line().lockInterruptibly();
      } else if (!gauge.line().tryLock(maxWait.toNanos(), TimeUnit.NANOSECONDS)) {
        throw full(database(this::depth));
      }
      try {
        return sendWithin(outgoing, end);
      } finally {
        gauge.line().unlock();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw full(gauge.lastSeen());
    }
  }

  private Sender.Sent sendWithin(Outgoing outgoing, long end) throws InterruptedException {
    if (bounds.overflow() != Overflow.BLOCK) {
      return engine.database().inTransaction(session -> sendNow(session, outgoing));
    }
    IdleBackoff idle = new IdleBackoff(FIRST_WAIT, LAST_WAIT);
    while (true) {
      engine.requireOpen();
      Optional<Sender.Sent> sent = sendIfRoom(outgoing, 1);
      if (sent.isPresent()) {
        return sent.get();
      }
      Duration left = Duration.ofNanos(end - System.nanoTime());
      if (left.isNegative() || left.isZero()) {
        throw full(database(this::depth));
      }
      Duration pause = idle.next();
      if (gauge.room().await(pause.compareTo(left) < 0 ? pause : left)) {
        idle.reset();
      }
    }
  }

  /** Sends if the queue is then no fuller than this share of its bounds. */
  private Optional<Sender.Sent> sendIfRoom(Outgoing outgoing, double share) {
    Depth after = database(this::depth).plus(outgoing.depth());
    engine.flowWatch().mayChange(gauge, after);
    if (bounds.fullness(after) > share) {
      return Optional.empty();
    }
    return Optional.of(
        outgoing.messages().size() == 1
            ? engine.database().run(session -> sender.send(session, outgoing.messages()))
            : engine
                .database()
                .inTransaction(session -> sender.send(session, outgoing.messages())));
  }

  private Sender.Sent sendNow(Session session, Outgoing outgoing) {
    Depth depth = depth(session);
    Depth after = depth.plus(outgoing.depth());
    engine.flowWatch().mayChange(gauge, after);
    Depth excess = bounds.excess(after);
    if (excess.isNothing()) {
      return sender.send(session, outgoing.messages());
    }
    Optional<Sender.Sent> known = sender.known(session, outgoing.messages());
    if (known.isPresent()) {
      return known.get();
    }
    if (bounds.overflow() == Overflow.DROP_OLDEST
        && DepthStore.makeRoom(session, queue.id(), excess)) {
      return sender.send(session, outgoing.messages());
    }
    throw full(depth);
  }

  private Depth depth(Session session) {
    return gauge.saw(DepthStore.depth(session, queue.id(), engine.tallyFrom()));
  }

  private Depth database(dev.trunkline.internal.db.Work<Depth> work) {
    return engine.database().run(work);
  }

  private QueueFullException full(Depth depth) {
    return new QueueFullException(queue.name(), depth.messages(), depth.bytes(), bounds);
  }

  /** What is to be sent; all of it has to be known before the first of it is stored. */
  private record Outgoing(List<Message> messages, Depth depth) {}

  private Outgoing outgoing(Iterable<Message> messages) {
    List<Message> all = new ArrayList<>();
    long bytes = 0;
    for (@Nullable Message message : messages) {
      Message present = java.util.Objects.requireNonNull(message, "message");
      all.add(present);
      bytes += present.payload().length;
      Depth depth = new Depth(all.size(), bytes);
      if (!bounds.excess(depth).isNothing()) {
        throw new IllegalArgumentException(
            "messages must fit into queue \"%s\" when it is empty (%s): %d messages of %d bytes"
                .formatted(queue.name(), bounds, depth.messages(), depth.bytes()));
      }
    }
    return new Outgoing(all, new Depth(all.size(), bytes));
  }
}
