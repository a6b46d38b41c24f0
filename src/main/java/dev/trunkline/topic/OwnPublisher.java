package dev.trunkline.topic;

import dev.trunkline.message.Message;
import java.util.Collection;
import java.util.List;

/**
 * Publishes in transactions of its own, and says so to those who read. Thread-safe.
 *
 * <p>A record waits for the disk twice before it is handled: its commit has to be there before the
 * call returns, and its offset before anybody sees it. Where somebody reads in this process, and
 * there is little to read, these waits are one: the commit does not wait, so that the step that
 * gives the offset can begin at once, and the wait for the disk comes after it has been told.
 * Nothing is seen too soon by that: a step is on disk before its offsets are seen, and with it what
 * was committed before it.
 */
final class OwnPublisher {
  private static final int ONE_STATEMENT = 100;

  private final TopicEngine engine;
  private final TopicRow topic;
  private final Publisher publisher;

  OwnPublisher(TopicEngine engine, TopicRow topic, Publisher publisher) {
    this.engine = engine;
    this.topic = topic;
    this.publisher = publisher;
  }

  /** All or none; they are on disk when this returns. */
  List<RecordId> publish(Iterable<Message> messages) {
    boolean isOneStatement = isOneStatement(messages);
    if (isOneStatement && engine.isCalm(topic.id())) {
      return engine
          .database()
          .run(
              session -> {
                List<RecordId> ids =
                    publisher.publish(session, messages, RecordStore.Waiting.LATER);
                engine.published(topic.id());
                RecordStore.flush(session);
                return ids;
              });
    }
    List<RecordId> ids =
        isOneStatement
            ? engine
                .database()
                .run(session -> publisher.publish(session, messages, RecordStore.Waiting.AT_COMMIT))
            : engine
                .database()
                .inTransaction(
                    session -> publisher.publish(session, messages, RecordStore.Waiting.AT_COMMIT));
    engine.published(topic.id());
    return ids;
  }

  /** One statement needs no transaction around it: that saves two round trips. */
  private static boolean isOneStatement(Iterable<Message> messages) {
    if (!(messages instanceof Collection<Message> collection)
        || collection.size() > ONE_STATEMENT) {
      return false;
    }
    long bytes = 0;
    for (Message message : collection) {
      bytes += message.payload().length;
    }
    return bytes <= OutgoingRecords.MAX_BYTES;
  }
}
