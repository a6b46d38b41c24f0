package dev.trunkline.benchmark;

import java.util.Random;

/** Payloads that do not compress, made beforehand. Thread-safe. */
final class Payloads {
  static final int BYTES = 200;
  private static final int COUNT = 4096;

  private final byte[][] payloads = new byte[COUNT][BYTES];

  Payloads() {
    Random random = new Random(42);
    for (byte[] payload : payloads) {
      random.nextBytes(payload);
    }
  }

  /** The payload of the message with this number. */
  byte[] get(long number) {
    return payloads[(int) (number % COUNT)];
  }
}
