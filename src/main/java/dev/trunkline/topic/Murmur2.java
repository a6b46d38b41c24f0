package dev.trunkline.topic;

/**
 * MurmurHash2 by Austin Appleby (public domain), 32 bits, with the seed that Apache Kafka's default
 * partitioner uses, so that a key is in the partition of the same number there.
 */
final class Murmur2 {
  private static final int SEED = 0x9747b28c;
  private static final int MULTIPLIER = 0x5bd1e995;
  private static final int SHIFT = 24;

  private Murmur2() {}

  static int hash(byte[] data) {
    int hash = SEED ^ data.length;
    int whole = data.length & ~3;
    for (int i = 0; i < whole; i += 4) {
      int word =
          (data[i] & 0xff)
              | (data[i + 1] & 0xff) << 8
              | (data[i + 2] & 0xff) << 16
              | (data[i + 3] & 0xff) << 24;
      word *= MULTIPLIER;
      word ^= word >>> SHIFT;
      word *= MULTIPLIER;
      hash *= MULTIPLIER;
      hash ^= word;
    }
    if (whole < data.length) {
      for (int i = data.length - 1; i >= whole; i--) {
        hash ^= (data[i] & 0xff) << (8 * (i - whole));
      }
      hash *= MULTIPLIER;
    }
    hash ^= hash >>> 13;
    hash *= MULTIPLIER;
    hash ^= hash >>> 15;
    return hash;
  }
}
