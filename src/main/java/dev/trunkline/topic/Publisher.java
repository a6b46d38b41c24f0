package dev.trunkline.topic;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.internal.db.Session;
import dev.trunkline.message.Message;
import java.util.ArrayList;
import java.util.List;

/**
 * Publishes messages of any number by statements of bounded size. Thread-safe; the transaction
 * around it makes it atomic.
 */
final class Publisher {
  /** Longer ones do not fit into the indexes of what is kept by key. */
  private static final int MAX_KEY_BYTES = 2000;

  private final TopicRow topic;
  private final Partitioner partitioner = new Partitioner();

  /** How many the topic has, as of the last publish: another process may have altered it. */
  private volatile int partitions;

  Publisher(TopicRow topic) {
    this.topic = topic;
    this.partitions = topic.config().partitions();
  }

  /**
   * Stores the messages; answers their ids in their order.
   *
   * @throws PayloadTooLargeException before anything of the batch in question is stored; the
   *     transaction has to end
   * @throws TopicNotFoundException if the topic has been deleted
   */
  List<RecordId> publish(Session session, Iterable<Message> messages, RecordStore.Waiting waiting) {
    List<RecordId> ids = new ArrayList<>();
    OutgoingRecords batch = new OutgoingRecords();
    for (Message message : messages) {
      check(message);
      if (batch.isFullFor(message)) {
        store(session, batch, waiting, ids);
        batch = new OutgoingRecords();
      }
      batch.add(message, partitioner.partitionFor(message, partitions));
    }
    store(session, batch, waiting, ids);
    return ids;
  }

  private void store(
      Session session, OutgoingRecords batch, RecordStore.Waiting waiting, List<RecordId> ids) {
    if (batch.isEmpty()) {
      return;
    }
    RecordStore.Stored stored =
        RecordStore.publish(session, topic.id(), batch, waiting)
            .orElseThrow(() -> new TopicNotFoundException(topic.name()));
    ids.addAll(batch.known(stored.firstId()));
    partitions = stored.partitions();
  }

  private void check(Message message) {
    int size = message.payload().length;
    if (size > topic.config().maxPayloadBytes()) {
      throw new PayloadTooLargeException(
          "topic", topic.name(), size, topic.config().maxPayloadBytes());
    }
    if (message.delay().isPresent() || message.deliverAt().isPresent()) {
      throw new IllegalArgumentException(
          "message must not be delayed, a topic has no schedule: " + message);
    }
    if (message.timeToLive().isPresent()) {
      throw new IllegalArgumentException(
          "message must not have a time to live, a topic has a retention: "
              + message.timeToLive().get());
    }
    if (message.deduplicationId().isPresent()) {
      throw new IllegalArgumentException(
          "message must not have a deduplication id, a topic keeps every record: "
              + message.deduplicationId().get());
    }
    if (message.priority() != Message.LOWEST_PRIORITY) {
      throw new IllegalArgumentException(
          "message must not have a priority, a topic has an order: " + message.priority());
    }
    int keyBytes = message.key().map(key -> key.getBytes(UTF_8).length).orElse(0);
    if (keyBytes > MAX_KEY_BYTES) {
      throw new IllegalArgumentException(
          "key must be at most 2000 bytes in UTF-8: " + keyBytes + " of " + message);
    }
    if (topic.config().compaction().enabled() && message.key().isEmpty()) {
      throw new IllegalArgumentException(
          "message must have a key, topic \"%s\" is compacted: %s"
              .formatted(topic.name(), message));
    }
  }
}
