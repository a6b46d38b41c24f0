package dev.trunkline.topic;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.trunkline.message.Message;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Which partition a message goes to. Thread-safe.
 *
 * <p>With a key: {@code (murmur2(key in UTF-8) & 0x7fffffff) % partitions}, as Apache Kafka's
 * default partitioner has it. Without: one partition until 16 KiB have gone there, then another by
 * lot, so that what is published together is read together.
 */
final class Partitioner {
  /** Kafka's {@code batch.size}. */
  private static final int STICKY_BYTES = 16 * 1024;

  private int sticky = -1;
  private long bytes;

  static int partitionOf(String key, int partitions) {
    return (Murmur2.hash(key.getBytes(UTF_8)) & Integer.MAX_VALUE) % partitions;
  }

  int partitionFor(Message message, int partitions) {
    return message
        .key()
        .map(key -> partitionOf(key, partitions))
        .orElseGet(() -> sticky(message.payload().length, partitions));
  }

  private synchronized int sticky(int size, int partitions) {
    if (sticky < 0 || sticky >= partitions || bytes >= STICKY_BYTES) {
      sticky = another(partitions);
      bytes = 0;
    }
    // An empty payload counts, too: a million of them must not stay in one partition.
    bytes += size + 1L;
    return sticky;
  }

  private int another(int partitions) {
    if (partitions == 1 || sticky < 0 || sticky >= partitions) {
      return ThreadLocalRandom.current().nextInt(partitions);
    }
    return (sticky + 1 + ThreadLocalRandom.current().nextInt(partitions - 1)) % partitions;
  }
}
