package dev.trunkline.topic;

import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Messages on their way into one statement, as columns in which those of one partition follow each
 * other. Bounded in count and bytes, so that a publish of any size needs the memory of one batch.
 * Not thread-safe.
 */
final class OutgoingRecords {
  /** Messages in one statement: their ids fit into a block of them. */
  static final int MAX_RECORDS = 2000;

  /** In the column of times: there is none. */
  static final long NO_TIME = Long.MIN_VALUE;

  /** Payload bytes in one statement, one message at least. */
  static final int MAX_BYTES = 2 * 1024 * 1024;

  private final List<Message> messages = new ArrayList<>();
  private final List<Integer> partitions = new ArrayList<>();
  private long bytes;

  /** The places of the messages by partition, once somebody has asked. */
  private int @Nullable [] order;

  /** Whether one more would be over the bounds. */
  boolean isFullFor(Message message) {
    return messages.size() == MAX_RECORDS
        || (!messages.isEmpty() && bytes + message.payload().length > MAX_BYTES);
  }

  void add(Message message, int partition) {
    messages.add(message);
    partitions.add(partition);
    bytes += message.payload().length;
    order = null;
  }

  boolean isEmpty() {
    return messages.isEmpty();
  }

  /** What these records are known by, in the order they were added, once they have their ids. */
  List<RecordId> known(long firstId) {
    int[] order = order();
    RecordId[] known = new RecordId[order.length];
    for (int i = 0; i < order.length; i++) {
      known[order[i]] = new RecordId(partitions.get(order[i]), firstId + i);
    }
    return List.of(known);
  }

  byte[] @Nullable [] payloads() {
    int[] order = order();
    byte[] @Nullable [] payloads = new byte[order.length][];
    for (int i = 0; i < payloads.length; i++) {
      Message message = messages.get(order[i]);
      payloads[i] = message.isTombstone() ? null : message.payload();
    }
    return payloads;
  }

  int[] partitions() {
    int[] order = order();
    int[] column = new int[order.length];
    for (int i = 0; i < column.length; i++) {
      column[i] = partitions.get(order[i]);
    }
    return column;
  }

  /**
   * Of the first record of each partition the number of the last one, counted from 1; 0 elsewhere.
   */
  int[] batchEnds() {
    int[] ends = new int[messages.size()];
    forEachBatch((first, end) -> ends[first] = end);
    return ends;
  }

  /** Of the first record of each partition the payload bytes of all of it; -1 elsewhere. */
  int[] batchBytes() {
    int[] order = order();
    int[] sums = new int[order.length];
    Arrays.fill(sums, -1);
    forEachBatch(
        (first, end) -> {
          sums[first] = 0;
          for (int i = first; i < end; i++) {
            sums[first] += messages.get(order[i]).payload().length;
          }
        });
    return sums;
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

  long[] sourceAtsUs() {
    int[] order = order();
    long[] column = new long[order.length];
    boolean any = false;
    for (int i = 0; i < column.length; i++) {
      Optional<Instant> timestamp = messages.get(order[i]).timestamp();
      column[i] = timestamp.map(OutgoingRecords::micros).orElse(NO_TIME);
      any |= timestamp.isPresent();
    }
    return any ? column : new long[0];
  }

  /** Those of one partition stay in their order. */
  private int[] order() {
    int[] known = order;
    if (known == null) {
      long[] places = new long[messages.size()];
      for (int i = 0; i < places.length; i++) {
        places[i] = (long) partitions.get(i) << 32 | i;
      }
      Arrays.sort(places);
      known = new int[places.length];
      for (int i = 0; i < known.length; i++) {
        known[i] = (int) places[i];
      }
      order = known;
    }
    return known;
  }

  /** Takes the place of the first record of a partition, and that after its last. */
  @FunctionalInterface
  private interface BatchVisitor {
    void visit(int first, int end);
  }

  private void forEachBatch(BatchVisitor visitor) {
    int[] sorted = partitions();
    int first = 0;
    for (int i = 1; i <= sorted.length; i++) {
      if (i == sorted.length || sorted[i] != sorted[first]) {
        visitor.visit(first, i);
        first = i;
      }
    }
  }

  private static long micros(Instant instant) {
    return instant.getEpochSecond() * 1_000_000 + instant.getNano() / 1_000;
  }

  /** A column that is empty if no message has a value for it. */
  private @Nullable String[] column(Function<Message, @Nullable String> value) {
    int[] order = order();
    @Nullable String[] column = new String[order.length];
    boolean any = false;
    for (int i = 0; i < column.length; i++) {
      column[i] = value.apply(messages.get(order[i]));
      any |= column[i] != null;
    }
    return any ? column : new String[0];
  }
}
