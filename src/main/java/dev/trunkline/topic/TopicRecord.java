package dev.trunkline.topic;

import dev.trunkline.message.Message;
import java.time.Instant;
import java.util.Optional;

/**
 * A record of a topic, at its place in the log. Immutable and thread-safe, as long as nobody writes
 * into the payload's array.
 *
 * @param topic the name of the topic
 * @param partition the partition, 0 and up
 * @param offset its place in the partition: dense, 0 and up; the same for every reader, for ever
 * @param id what it was known by when it was published
 * @param message what was published
 * @param sourceAt the publisher's timestamp, or the start of its transaction if it gave none
 * @param appendedAt when it was given its offset, by the database's clock; never earlier than that
 *     of a record before it
 */
public record TopicRecord(
    String topic,
    int partition,
    long offset,
    RecordId id,
    Message message,
    Instant sourceAt,
    Instant appendedAt) {

  /** The key, if there is one. */
  public Optional<String> key() {
    return message.key();
  }

  /** Whether it says that what its key was about is gone; then the payload is empty. */
  public boolean isTombstone() {
    return message.isTombstone();
  }

  /** Names the record, never its payload. */
  @Override
  public String toString() {
    return "TopicRecord[topic=%s, partition=%d, offset=%d, key=%s]"
        .formatted(topic, partition, offset, message.key().orElse(null));
  }
}
