package dev.trunkline.message;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import dev.trunkline.error.PayloadUnreadableException;
import dev.trunkline.error.PayloadUnwritableException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What is sent and received: a payload and what is known about it. Immutable and thread-safe, as
 * long as nobody writes into the payload's array, which is not copied.
 *
 * <p>Made by {@link #bytes}, {@link #text}, {@link #json} or {@link #of}, refined by the {@code
 * with} methods.
 */
public final class Message {
  /** Lowest and default priority. */
  public static final int LOWEST_PRIORITY = 0;

  /** Highest priority. */
  public static final int HIGHEST_PRIORITY = 9;

  private static final Duration LONGEST_DELAY = Duration.ofDays(3650);
  private static final int LONGEST_DEDUPLICATION_ID = 200;
  private static final Instant EARLIEST_TIMESTAMP = Instant.parse("0001-01-01T00:00:00Z");
  private static final Instant LATEST_TIMESTAMP = Instant.parse("9999-12-31T00:00:00Z");

  private final byte[] payload;
  private final Attributes attributes;
  private final Wishes wishes;

  private Message(byte[] payload, Attributes attributes, Wishes wishes) {
    this.payload = payload;
    this.attributes = attributes;
    this.wishes = wishes;
  }

  /** A message of bytes, without a content type. The array is not copied. */
  public static Message bytes(byte[] payload) {
    return new Message(requireNonNull(payload, "payload"), Attributes.NONE, Wishes.NONE);
  }

  /** A message of text: UTF-8, content type {@code text/plain}. */
  public static Message text(String payload) {
    return bytes(requireNonNull(payload, "payload").getBytes(UTF_8)).withContentType("text/plain");
  }

  /**
   * A message of JSON, written by {@link JsonCodec#defaults()}; Jackson must be on the class path.
   *
   * @throws PayloadUnwritableException if the value cannot be written
   */
  public static Message json(Object value) {
    return of(value, JsonCodec.defaults());
  }

  /**
   * A message without a payload that says that what the key was about is gone. For topics, whose
   * compaction removes the records of the key; a queue refuses it.
   */
  public static Message tombstone(String key) {
    return new Message(
        new byte[0],
        Attributes.NONE.withKey(checked("key", requireNonNull(key, "key"))).asTombstone(),
        Wishes.NONE);
  }

  /**
   * A message written by a codec, with the codec's content type.
   *
   * @throws PayloadUnwritableException if the value cannot be written
   */
  public static Message of(Object value, Codec codec) {
    requireNonNull(value, "value");
    try {
      return bytes(codec.encode(value)).withContentType(codec.contentType());
    } catch (Exception e) {
      throw new PayloadUnwritableException(value.getClass().getName(), e);
    }
  }

  /**
   * A message as it was stored, for the library: nothing is checked, since a message that is there
   * must be readable whoever wrote it.
   *
   * @param payload null for a tombstone
   */
  public static Message stored(
      byte @Nullable [] payload,
      @Nullable String key,
      @Nullable String type,
      @Nullable String contentType,
      Map<String, String> headers,
      int priority) {
    Attributes attributes =
        new Attributes(
            key, type, contentType, Map.copyOf(headers), priority, payload == null, null);
    return new Message(payload == null ? new byte[0] : payload, attributes, Wishes.NONE);
  }

  /**
   * This message with a key: what it is about. A topic keeps records of one key in order, in one
   * partition; a queue shows it and lets it be searched for. At most 1,000 characters.
   */
  public Message withKey(@Nullable String key) {
    if (key == null && isTombstone()) {
      throw new IllegalArgumentException("key of a tombstone must not be null");
    }
    return with(attributes.withKey(checked("key", key)));
  }

  /**
   * This message with a type: a stable name such as {@code order.placed}, not a class name. At most
   * 1,000 characters.
   */
  public Message withType(@Nullable String type) {
    return with(attributes.withType(checked("type", type)));
  }

  /**
   * This message with another content type, for example {@code application/json}. At most 1,000
   * characters.
   */
  public Message withContentType(@Nullable String contentType) {
    return with(attributes.withContentType(checked("contentType", contentType)));
  }

  /** This message with one header more, or another value for it. */
  public Message withHeader(String name, String value) {
    requireNonNull(name, "name");
    requireNonNull(value, "value");
    refuseNul("header name", name);
    refuseNul("header \"" + name + "\"", value);
    Map<String, String> headers = new LinkedHashMap<>(attributes.headers());
    headers.put(name, value);
    return with(attributes.withHeaders(Map.copyOf(headers)));
  }

  /** This message with exactly these headers. */
  public Message withHeaders(Map<String, String> headers) {
    Message message = with(attributes.withHeaders(Map.of()));
    for (Map.Entry<String, String> header : headers.entrySet()) {
      message = message.withHeader(header.getKey(), header.getValue());
    }
    return message;
  }

  /**
   * This message with a priority: higher is delivered first, equal ones in the order of sending.
   *
   * @param priority 0 (lowest, the default) to 9
   * @throws IllegalArgumentException if it is out of range
   */
  public Message withPriority(int priority) {
    if (priority < LOWEST_PRIORITY || priority > HIGHEST_PRIORITY) {
      throw new IllegalArgumentException("priority must be between 0 and 9: " + priority);
    }
    return with(attributes.withPriority(priority));
  }

  /**
   * This message, to be delivered no earlier than so long after it is sent, by the database's
   * clock. Replaces {@link #withDeliverAt}.
   *
   * @param delay zero to 3,650 days
   * @throws IllegalArgumentException if it is out of range
   */
  public Message withDelay(Duration delay) {
    if (requireNonNull(delay, "delay").isNegative() || delay.compareTo(LONGEST_DELAY) > 0) {
      throw new IllegalArgumentException("delay must be between zero and 3650 days: " + delay);
    }
    return with(wishes.withTime(delay, null));
  }

  /**
   * This message, to be delivered no earlier than this instant, by the database's clock; an instant
   * in the past means now. Replaces {@link #withDelay}.
   */
  public Message withDeliverAt(Instant deliverAt) {
    requireNonNull(deliverAt, "deliverAt");
    if (deliverAt.isAfter(Instant.parse("9999-12-31T00:00:00Z"))) {
      throw new IllegalArgumentException("deliverAt must be before the year 10000: " + deliverAt);
    }
    return with(wishes.withTime(null, deliverAt));
  }

  /**
   * This message with an id of the sender's, by which a queue that deduplicates recognises it when
   * it is sent again; other queues and topics refuse it.
   *
   * @param deduplicationId 1 to 200 characters, without U+0000
   * @throws IllegalArgumentException if it is out of range
   */
  public Message withDeduplicationId(String deduplicationId) {
    requireNonNull(deduplicationId, "deduplicationId");
    if (deduplicationId.isEmpty() || deduplicationId.length() > LONGEST_DEDUPLICATION_ID) {
      throw new IllegalArgumentException(
          "deduplicationId must have 1 to 200 characters: "
              + (deduplicationId.isEmpty() ? "\"\"" : deduplicationId.length()));
    }
    refuseNul("deduplicationId", deduplicationId);
    return with(wishes.withDeduplicationId(deduplicationId));
  }

  /**
   * This message, not to be delivered later than so long after it is sent, by the database's clock:
   * wherever it is by then, it is given up. If the queue has a time to live, too, the shorter one
   * counts. A topic refuses it.
   *
   * @param timeToLive 1 ms to 3,650 days in whole milliseconds, longer than the delay if there is
   *     one
   * @throws IllegalArgumentException if it is out of range
   */
  public Message withTimeToLive(Duration timeToLive) {
    requireNonNull(timeToLive, "timeToLive");
    if (timeToLive.compareTo(LONGEST_DELAY) > 0 || timeToLive.toMillis() < 1) {
      throw new IllegalArgumentException(
          "timeToLive must be between 1 ms and 3650 days: " + timeToLive);
    }
    return with(wishes.withTimeToLive(timeToLive));
  }

  /**
   * This message with the time at which what it tells of happened, by the sender's clock. For
   * topics, where it is the source timestamp of the record; a queue refuses it.
   */
  public Message withTimestamp(Instant timestamp) {
    requireNonNull(timestamp, "timestamp");
    if (timestamp.isBefore(EARLIEST_TIMESTAMP) || timestamp.isAfter(LATEST_TIMESTAMP)) {
      throw new IllegalArgumentException(
          "timestamp must be between the years 1 and 9999: " + timestamp);
    }
    return with(attributes.withTimestamp(timestamp));
  }

  /** The payload, empty if it is a tombstone; the array is not copied. */
  public byte[] payload() {
    return payload;
  }

  /**
   * The payload as UTF-8 text.
   *
   * @throws PayloadUnreadableException if it is not UTF-8
   */
  public String text() {
    try {
      return UTF_8.newDecoder().decode(ByteBuffer.wrap(payload)).toString();
    } catch (java.nio.charset.CharacterCodingException e) {
      throw new PayloadUnreadableException("UTF-8 text", attributes.contentType(), e);
    }
  }

  /**
   * The payload read as JSON by {@link JsonCodec#defaults()}; Jackson must be on the class path.
   *
   * @throws PayloadUnreadableException if it is not JSON of this type
   */
  public <T> T json(Class<T> type) {
    return as(type, JsonCodec.defaults());
  }

  /**
   * The payload read by a codec.
   *
   * @throws PayloadUnreadableException if the codec cannot read it
   */
  public <T> T as(Class<T> type, Codec codec) {
    requireNonNull(type, "type");
    try {
      return requireNonNull(codec.decode(payload, type), "the codec answered null");
    } catch (Exception e) {
      throw new PayloadUnreadableException(type.getName(), attributes.contentType(), e);
    }
  }

  /** The key, if there is one. */
  public Optional<String> key() {
    return Optional.ofNullable(attributes.key());
  }

  /** The type, if there is one. */
  public Optional<String> type() {
    return Optional.ofNullable(attributes.type());
  }

  /** The content type, if there is one. */
  public Optional<String> contentType() {
    return Optional.ofNullable(attributes.contentType());
  }

  /** The headers; unmodifiable, in no order. */
  public Map<String, String> headers() {
    return attributes.headers();
  }

  /** Whether it has no payload, and says that what its key was about is gone. */
  public boolean isTombstone() {
    return attributes.tombstone();
  }

  /** The time that the sender gave it; empty on received messages. */
  public Optional<Instant> timestamp() {
    return Optional.ofNullable(attributes.timestamp());
  }

  /** The priority, 0 to 9. */
  public int priority() {
    return attributes.priority();
  }

  /** The delay asked for by the sender; empty on received messages. */
  public Optional<Duration> delay() {
    return Optional.ofNullable(wishes.delay());
  }

  /** The instant asked for by the sender; empty on received messages. */
  public Optional<Instant> deliverAt() {
    return Optional.ofNullable(wishes.deliverAt());
  }

  /** The sender's id for it, to recognise it by; empty on received messages. */
  public Optional<String> deduplicationId() {
    return Optional.ofNullable(wishes.deduplicationId());
  }

  /** The time to live asked for by the sender; empty on received messages. */
  public Optional<Duration> timeToLive() {
    return Optional.ofNullable(wishes.timeToLive());
  }

  private Message with(Attributes changed) {
    return new Message(payload, changed, wishes);
  }

  private Message with(Wishes changed) {
    return new Message(payload, attributes, changed);
  }

  private static @Nullable String checked(String name, @Nullable String value) {
    if (value == null) {
      return null;
    }
    if (value.length() > 1000) {
      throw new IllegalArgumentException(
          "%s must be at most 1000 characters: %d".formatted(name, value.length()));
    }
    refuseNul(name, value);
    return value;
  }

  /**
   * PostgreSQL's text cannot hold U+0000: better said here than by the server in the middle of a
   * batch.
   */
  private static void refuseNul(String name, String value) {
    if (value.indexOf('\0') >= 0) {
      throw new IllegalArgumentException(
          name + " must not contain U+0000: " + value.replace('\0', '?'));
    }
  }

  /** Names the message, never its payload. */
  @Override
  public String toString() {
    return "Message[key=%s, type=%s, priority=%d, %d bytes]"
        .formatted(attributes.key(), attributes.type(), attributes.priority(), payload.length);
  }

  /** What is known about the payload. */
  private record Attributes(
      @Nullable String key,
      @Nullable String type,
      @Nullable String contentType,
      Map<String, String> headers,
      int priority,
      boolean tombstone,
      @Nullable Instant timestamp) {
    static final Attributes NONE =
        new Attributes(null, null, null, Map.of(), LOWEST_PRIORITY, false, null);

    Attributes withKey(@Nullable String changed) {
      return new Attributes(changed, type, contentType, headers, priority, tombstone, timestamp);
    }

    Attributes withType(@Nullable String changed) {
      return new Attributes(key, changed, contentType, headers, priority, tombstone, timestamp);
    }

    Attributes withContentType(@Nullable String changed) {
      return new Attributes(key, type, changed, headers, priority, tombstone, timestamp);
    }

    Attributes withHeaders(Map<String, String> changed) {
      return new Attributes(key, type, contentType, changed, priority, tombstone, timestamp);
    }

    Attributes withPriority(int changed) {
      return new Attributes(key, type, contentType, headers, changed, tombstone, timestamp);
    }

    Attributes asTombstone() {
      return new Attributes(key, type, contentType, headers, priority, true, timestamp);
    }

    Attributes withTimestamp(Instant changed) {
      return new Attributes(key, type, contentType, headers, priority, tombstone, changed);
    }
  }

  /** What the sender asks for; not part of what is received. */
  private record Wishes(
      @Nullable Duration delay,
      @Nullable Instant deliverAt,
      @Nullable String deduplicationId,
      @Nullable Duration timeToLive) {
    static final Wishes NONE = new Wishes(null, null, null, null);

    Wishes withTime(@Nullable Duration changedDelay, @Nullable Instant changedDeliverAt) {
      return new Wishes(changedDelay, changedDeliverAt, deduplicationId, timeToLive);
    }

    Wishes withDeduplicationId(String changed) {
      return new Wishes(delay, deliverAt, changed, timeToLive);
    }

    Wishes withTimeToLive(Duration changed) {
      return new Wishes(delay, deliverAt, deduplicationId, changed);
    }
  }
}
