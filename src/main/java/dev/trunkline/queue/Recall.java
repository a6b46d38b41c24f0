package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.internal.db.Session;
import dev.trunkline.message.MessageId;
import java.sql.Connection;
import java.util.List;
import java.util.Optional;

/** Takes back, or puts off, messages that have not been delivered. Thread-safe. */
final class Recall {
  /*
   * A message moves between its states while it is looked for. Each attempt is one statement that locks the row it has
   * found the message in, and changes it only if the message is still in it. What is nowhere to be taken from is looked
   * for in one snapshot, in which it is in exactly one state: in a lease, or gone, it is too late; else it has moved
   * between two attempts, and the search begins again.
   */
  private static final int ROUNDS = 20;

  /**
   * A run stands at the place of its first message, a little below its others: only runs of senders
   * that drew their ids at the same time can be in between.
   */
  private static final int NEAR = 64;

  private final Engine engine;
  private final QueueRow queue;

  Recall(Engine engine, QueueRow queue) {
    this.engine = engine;
    this.queue = queue;
  }

  /** Does it in a transaction of its own. Answers whether it was in time. */
  boolean now(MessageId id, RecallStore.Wish wish) {
    engine.requireOpen();
    requireNonNull(id, "id");
    Optional<RecallStore.Recalled> recalled =
        engine.database().run(session -> recall(session, id.value(), wish));
    recalled.ifPresent(
        found -> {
          engine.wakeups().ready(queue.id(), found.rest());
          found.dueInMs().ifPresent(engine.wakeups()::dueIn);
        });
    return recalled.isPresent();
  }

  /** Does it as part of the caller's transaction. Answers whether it was in time. */
  boolean in(Connection connection, MessageId id, RecallStore.Wish wish) {
    engine.requireOpen();
    requireNonNull(id, "id");
    return engine
        .database()
        .<Boolean>on(
            connection,
            session -> {
              Optional<RecallStore.Recalled> recalled = recall(session, id.value(), wish);
              recalled.ifPresent(found -> announce(session, found));
              return recalled.isPresent();
            });
  }

  private void announce(Session session, RecallStore.Recalled found) {
    if (engine.isListenedTo(queue.id())) {
      engine
          .announcer()
          .inCallersTransaction(
              session, queue.id(), new Sender.Sent(List.of(), found.rest(), found.dueInMs()));
    }
    engine.signals().expect(queue.id());
  }

  private Optional<RecallStore.Recalled> recall(Session session, long id, RecallStore.Wish wish) {
    for (int round = 0; round < ROUNDS; round++) {
      Optional<RecallStore.Recalled> found =
          RecallStore.fromScheduled(session, queue.id(), id, wish)
              .or(() -> fromLines(session, id, id, NEAR, wish));
      if (found.isPresent()) {
        return found;
      }
      switch (RecallStore.look(session, queue.id(), id)) {
        case READY -> {
          // It came back after it was sent: anywhere in its lane.
          found = fromLines(session, id, Long.MAX_VALUE, Integer.MAX_VALUE, wish);
          if (found.isPresent()) {
            return found;
          }
        }
        case SCHEDULED -> {
          // It has moved.
        }
        case IN_FLIGHT, GONE -> {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }

  private Optional<RecallStore.Recalled> fromLines(
      Session session, long id, long upTo, int limit, RecallStore.Wish wish) {
    return queue.config().ordering().isKeyed()
        ? RecallStore.fromLine(session, queue.id(), id, wish)
        : RecallStore.fromReady(session, queue.id(), id, upTo, limit, wish);
  }
}
