package dev.trunkline.topic;

import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Messages on their way into one statement, as columns. Bounded in count and bytes, so that a
 * publish of any size needs the memory of one batch. Not thread-safe.
 */
final class OutgoingRecords {
  /** Messages in one statement. */
  static final int MAX_RECORDS = 2000;

  /** Payload bytes in one statement, one message at least. */
  static final int MAX_BYTES = 2 * 1024 * 1024;

  private final List<Message> messages = new ArrayList<>();
  private final List<Integer> partitions = new ArrayList<>();
  private long bytes;

  /** Whether one more would be over the bounds. */
  boolean isFullFor(Message message) {
    return messages.size() == MAX_RECORDS
        || (!messages.isEmpty() && bytes + message.payload().length > MAX_BYTES);
  }

  void add(Message message, int partition) {
    messages.add(message);
    partitions.add(partition);
    bytes += message.payload().length;
  }

  boolean isEmpty() {
    return messages.isEmpty();
  }

  byte[] @Nullable [] payloads() {
    byte[] @Nullable [] payloads = new byte[messages.size()][];
    for (int i = 0; i < payloads.length; i++) {
      payloads[i] = messages.get(i).isTombstone() ? null : messages.get(i).payload();
    }
    return payloads;
  }

  int[] partitions() {
    return partitions.stream().mapToInt(Integer::intValue).toArray();
  }

  @Nullable String[] keys() {
    return column(message -> message.key().orElse(null));
  }

  @Nullable String[] types() {
    return column(message -> message.type().orElse(null));
  }

  @Nullable String[] contentTypes() {
    return column(message -> message.contentType().orElse(null));
  }

  @Nullable String[] headers() {
    return column(message -> StoredHeaders.arrayLiteral(message.headers()));
  }

  @Nullable Long[] sourceAtsUs() {
    @Nullable Long[] column = new Long[messages.size()];
    boolean any = false;
    for (int i = 0; i < column.length; i++) {
      column[i] = messages.get(i).timestamp().map(OutgoingRecords::micros).orElse(null);
      any |= column[i] != null;
    }
    return any ? column : new Long[0];
  }

  private static long micros(Instant instant) {
    return instant.getEpochSecond() * 1_000_000 + instant.getNano() / 1_000;
  }

  /** A column that is empty if no message has a value for it. */
  private @Nullable String[] column(Function<Message, @Nullable String> value) {
    @Nullable String[] column = new String[messages.size()];
    boolean any = false;
    for (int i = 0; i < column.length; i++) {
      column[i] = value.apply(messages.get(i));
      any |= column[i] != null;
    }
    return any ? column : new String[0];
  }
}
