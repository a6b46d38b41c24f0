package dev.trunkline.queue;

import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Messages on their way into one statement, as columns: all ready at once, or all scheduled.
 * Bounded in count and bytes, so that a send of any size needs the memory of one batch. Not
 * thread-safe.
 */
final class OutgoingBatch {
  /** Messages in one statement. */
  static final int MAX_MESSAGES = 2000;

  /** Payload bytes in one statement, one message at least. */
  static final int MAX_BYTES = 2 * 1024 * 1024;

  private final boolean scheduled;
  private final List<Message> messages = new ArrayList<>();
  private final List<Integer> positions = new ArrayList<>();
  private long bytes;

  OutgoingBatch(boolean scheduled) {
    this.scheduled = scheduled;
  }

  /** Whether one more would be over the bounds. */
  boolean isFullFor(Message message) {
    return messages.size() == MAX_MESSAGES
        || (!messages.isEmpty() && bytes + message.payload().length > MAX_BYTES);
  }

  void add(Message message, int position) {
    messages.add(message);
    positions.add(position);
    bytes += message.payload().length;
  }

  boolean isEmpty() {
    return messages.isEmpty();
  }

  boolean isScheduled() {
    return scheduled;
  }

  int size() {
    return messages.size();
  }

  /** Where the i-th message stood in the caller's list. */
  int position(int i) {
    return positions.get(i);
  }

  int priority(int i) {
    return messages.get(i).priority();
  }

  /** Whether any of the messages is like this. */
  boolean anyMatch(Predicate<Message> condition) {
    return messages.stream().anyMatch(condition);
  }

  /** What each message is recognised by, or null. */
  List<@Nullable Fingerprint> fingerprints(@Nullable Deduplication deduplication) {
    List<@Nullable Fingerprint> fingerprints = new ArrayList<>(messages.size());
    for (Message message : messages) {
      fingerprints.add(
          deduplication == null ? null : Fingerprint.of(message, deduplication).orElse(null));
    }
    return fingerprints;
  }

  @Nullable Long[] timesToLiveMs() {
    @Nullable Long[] times = new Long[messages.size()];
    for (int i = 0; i < times.length; i++) {
      times[i] = messages.get(i).timeToLive().map(Duration::toMillis).orElse(null);
    }
    return times;
  }

  byte[][] payloads() {
    byte[][] payloads = new byte[messages.size()][];
    for (int i = 0; i < payloads.length; i++) {
      payloads[i] = messages.get(i).payload();
    }
    return payloads;
  }

  short[] priorities() {
    short[] priorities = new short[messages.size()];
    for (int i = 0; i < priorities.length; i++) {
      priorities[i] = (short) messages.get(i).priority();
    }
    return priorities;
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

  @Nullable Long[] delaysMs() {
    Long[] delays = new Long[messages.size()];
    for (int i = 0; i < delays.length; i++) {
      delays[i] = messages.get(i).delay().orElse(Duration.ZERO).toMillis();
    }
    return delays;
  }

  @Nullable Long[] dueAtsMs() {
    @Nullable Long[] dueAts = new Long[messages.size()];
    for (int i = 0; i < dueAts.length; i++) {
      dueAts[i] = messages.get(i).deliverAt().map(OutgoingBatch::epochMillis).orElse(null);
    }
    return dueAts;
  }

  /** Long ago is as good as the beginning of the epoch, and fits into a timestamp. */
  private static long epochMillis(Instant instant) {
    return instant.isBefore(Instant.EPOCH) ? 0 : instant.toEpochMilli();
  }

  /**
   * The run of each message. A run is one row of ready: one priority, bounded in count and bytes.
   */
  int[] runs() {
    int[] runs = new int[messages.size()];
    RunCutter cutter = new RunCutter();
    for (int i = 0; i < runs.length; i++) {
      Message message = messages.get(i);
      runs[i] = cutter.runOf(message.priority(), message.payload().length);
    }
    return runs;
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
