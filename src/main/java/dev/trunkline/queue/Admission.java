package dev.trunkline.queue;

import dev.trunkline.error.PayloadTooLargeException;
import dev.trunkline.message.Message;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;

/** Decides what a queue accepts, before anything of it is stored. Thread-safe. */
final class Admission {
  /** Keys stand in indexes, whose entries are bounded; the same as for topics. */
  private static final int MAX_KEY_BYTES = 2000;

  private final QueueRow queue;
  private final SendRules rules;

  Admission(QueueRow queue) {
    this.queue = queue;
    this.rules = queue.config().sendRules();
  }

  /**
   * Checks one message.
   *
   * @throws PayloadTooLargeException if the payload is over the queue's limit
   * @throws IllegalArgumentException if it asks for what the queue does not do
   */
  void check(Message message) {
    refuseWhatIsForTopics(message);
    if (queue.config().ordering().isKeyed()) {
      refuseWhatHasNoPlace(message);
    }
    int size = message.payload().length;
    if (size > queue.config().maxPayloadBytes()) {
      throw new PayloadTooLargeException(
          "queue", queue.name(), size, queue.config().maxPayloadBytes());
    }
    if (message.deduplicationId().isPresent() && rules.deduplication().isEmpty()) {
      throw new IllegalArgumentException(
          "message must not have a deduplication id, queue \"%s\" does not deduplicate: %s"
              .formatted(queue.name(), message.deduplicationId().get()));
    }
    rules.deduplication().ifPresent(deduplication -> checkKey(deduplication, message));
    message.delay().ifPresent(delay -> checkDelay(delay, message));
  }

  /** Whether the batch takes more than the plain statements do. */
  boolean isRuled(OutgoingBatch batch) {
    return rules.deduplication().isPresent()
        || rules.expiry().isPresent()
        || batch.anyMatch(message -> message.timeToLive().isPresent());
  }

  private void checkKey(Deduplication deduplication, Message message) {
    if (deduplication.scope() == DeduplicationScope.KEY && message.key().isEmpty()) {
      throw new IllegalArgumentException(
          "message must have a key, queue \"%s\" deduplicates by key: %s"
              .formatted(queue.name(), message));
    }
  }

  private void checkDelay(Duration delay, Message message) {
    Optional<Duration> ofQueue = rules.expiry().map(Expiry::timeToLive);
    Optional<Duration> timeToLive =
        message
            .timeToLive()
            .filter(own -> ofQueue.isEmpty() || own.compareTo(ofQueue.get()) <= 0)
            .or(() -> ofQueue);
    if (timeToLive.isPresent() && delay.compareTo(timeToLive.get()) >= 0) {
      throw new IllegalArgumentException(
          "delay must be shorter than the time to live, %s, or the message is never delivered: %s"
              .formatted(timeToLive.get(), delay));
    }
  }

  private void refuseWhatHasNoPlace(Message message) {
    String key =
        message
            .key()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "message must have a key, queue \"%s\" is ordered by it: %s"
                            .formatted(queue.name(), message)));
    int bytes = key.getBytes(StandardCharsets.UTF_8).length;
    if (bytes > MAX_KEY_BYTES) {
      throw new IllegalArgumentException(
          "key must be at most 2000 bytes in UTF-8 in queue \"%s\": %d"
              .formatted(queue.name(), bytes));
    }
    if (message.priority() != Message.LOWEST_PRIORITY) {
      throw new IllegalArgumentException(
          "message must have the default priority, queue \"%s\" is ordered by key: %d"
              .formatted(queue.name(), message.priority()));
    }
  }

  private static void refuseWhatIsForTopics(Message message) {
    if (message.isTombstone()) {
      throw new IllegalArgumentException("message must not be a tombstone: " + message);
    }
    if (message.timestamp().isPresent()) {
      throw new IllegalArgumentException(
          "message must not have a timestamp, a queue keeps none: " + message.timestamp().get());
    }
  }
}
