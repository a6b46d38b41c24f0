package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * What all processes agree on about a topic; kept in {@code trunkline.topic}. Immutable and
 * thread-safe.
 *
 * @param partitions how many logs the topic consists of, each with an order of its own, and so how
 *     many members of a group can work at the same time: 1 to 1,000, default 4. It can grow; then a
 *     key may belong to another partition than before
 * @param maxPayloadBytes the largest payload accepted: 1 byte to 256 MiB, default 1 MiB
 * @param retention how long records stay, default {@link Retention#defaults()}
 * @param compaction whether only the newest record of a key stays, default {@link Compaction#off()}
 * @param chunks the granularity of the retention, default {@link Chunks#auto()}
 */
public record TopicConfig(
    int partitions,
    int maxPayloadBytes,
    Retention retention,
    Compaction compaction,
    Chunks chunks) {

  /** Default of {@link #partitions}. */
  public static final int DEFAULT_PARTITIONS = 4;

  /** Default of {@link #maxPayloadBytes}. */
  public static final int DEFAULT_MAX_PAYLOAD_BYTES = 1024 * 1024;

  private static final int MOST_PARTITIONS = 1000;
  private static final int LARGEST_MAX_PAYLOAD_BYTES = 256 * 1024 * 1024;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public TopicConfig {
    if (partitions < 1 || partitions > MOST_PARTITIONS) {
      throw new IllegalArgumentException("partitions must be between 1 and 1000: " + partitions);
    }
    if (maxPayloadBytes < 1 || maxPayloadBytes > LARGEST_MAX_PAYLOAD_BYTES) {
      throw new IllegalArgumentException(
          "maxPayloadBytes must be between 1 and 268435456: " + maxPayloadBytes);
    }
    requireNonNull(retention, "retention");
    requireNonNull(compaction, "compaction");
    requireNonNull(chunks, "chunks");
  }

  /** Four partitions, payloads up to 1 MiB, kept for seven days. */
  public static TopicConfig defaults() {
    return new TopicConfig(
        DEFAULT_PARTITIONS,
        DEFAULT_MAX_PAYLOAD_BYTES,
        Retention.defaults(),
        Compaction.off(),
        Chunks.auto());
  }

  /** This configuration with another number of partitions. */
  public TopicConfig withPartitions(int partitions) {
    return new TopicConfig(partitions, maxPayloadBytes, retention, compaction, chunks);
  }

  /** This configuration with another size limit. */
  public TopicConfig withMaxPayloadBytes(int maxPayloadBytes) {
    return new TopicConfig(partitions, maxPayloadBytes, retention, compaction, chunks);
  }

  /** This configuration with another retention. */
  public TopicConfig withRetention(Retention retention) {
    return new TopicConfig(partitions, maxPayloadBytes, retention, compaction, chunks);
  }

  /** This configuration, keeping records for so long; see {@link Retention#age}. */
  public TopicConfig withRetention(Duration age) {
    return withRetention(retention.withAge(age));
  }

  /** This configuration with another compaction. */
  public TopicConfig withCompaction(Compaction compaction) {
    return new TopicConfig(partitions, maxPayloadBytes, retention, compaction, chunks);
  }

  /** This configuration with chunks of another size. */
  public TopicConfig withChunks(Chunks chunks) {
    return new TopicConfig(partitions, maxPayloadBytes, retention, compaction, chunks);
  }
}
