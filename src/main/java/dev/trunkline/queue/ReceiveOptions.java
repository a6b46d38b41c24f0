package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import dev.trunkline.internal.work.VisibilityTimeout;
import java.time.Duration;
import java.util.Optional;

/**
 * What one {@link Queue#receive} asks for. Immutable and thread-safe.
 *
 * @param maxMessages how many at most: 1 to 10,000, default 10
 * @param maxWait how long to wait for the first one: zero (only look, the default) to 1 h. Who may
 *     wait is given what is there, except that a stream of messages is let gather for up to 5 ms
 * @param visibilityTimeout instead of the queue's: 1 ms to 12 h, default empty
 * @param maxBytes stop at so many payload bytes: at least 1, default 64 MiB; one message is
 *     received whatever its size
 */
public record ReceiveOptions(
    int maxMessages, Duration maxWait, Optional<Duration> visibilityTimeout, long maxBytes) {

  /** Default of {@link #maxMessages}. */
  public static final int DEFAULT_MAX_MESSAGES = 10;

  /** Default of {@link #maxBytes}: 64 MiB. */
  public static final long DEFAULT_MAX_BYTES = 64L * 1024 * 1024;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public ReceiveOptions {
    if (maxMessages < 1 || maxMessages > 10_000) {
      throw new IllegalArgumentException("maxMessages must be between 1 and 10000: " + maxMessages);
    }
    if (requireNonNull(maxWait, "maxWait").isNegative()
        || maxWait.compareTo(Duration.ofHours(1)) > 0) {
      throw new IllegalArgumentException("maxWait must be between zero and 1 h: " + maxWait);
    }
    requireNonNull(visibilityTimeout, "visibilityTimeout")
        .ifPresent(timeout -> VisibilityTimeout.check("visibilityTimeout", timeout));
    if (maxBytes < 1) {
      throw new IllegalArgumentException("maxBytes must be at least 1: " + maxBytes);
    }
  }

  /** Up to ten messages, without waiting. */
  public static ReceiveOptions defaults() {
    return new ReceiveOptions(
        DEFAULT_MAX_MESSAGES, Duration.ZERO, Optional.empty(), DEFAULT_MAX_BYTES);
  }

  /** These options with another number of messages. */
  public ReceiveOptions withMaxMessages(int maxMessages) {
    return new ReceiveOptions(maxMessages, maxWait, visibilityTimeout, maxBytes);
  }

  /** These options with another wait: long polling. */
  public ReceiveOptions withMaxWait(Duration maxWait) {
    return new ReceiveOptions(maxMessages, maxWait, visibilityTimeout, maxBytes);
  }

  /** These options with a visibility timeout of their own. */
  public ReceiveOptions withVisibilityTimeout(Duration visibilityTimeout) {
    return new ReceiveOptions(maxMessages, maxWait, Optional.of(visibilityTimeout), maxBytes);
  }

  /** These options with another bound in bytes. */
  public ReceiveOptions withMaxBytes(long maxBytes) {
    return new ReceiveOptions(maxMessages, maxWait, visibilityTimeout, maxBytes);
  }
}
