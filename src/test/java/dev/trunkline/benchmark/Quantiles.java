package dev.trunkline.benchmark;

import java.util.Arrays;

/** Times, and which part of them is below what. Not thread-safe. */
final class Quantiles {
  private final long[] nanos;
  private int count;
  private boolean sorted;

  Quantiles(int capacity) {
    this.nanos = new long[capacity];
  }

  void add(long time) {
    nanos[count++] = time;
    sorted = false;
  }

  /** The time that this part of all times does not exceed, in milliseconds. */
  double millis(double part) {
    if (!sorted) {
      Arrays.sort(nanos, 0, count);
      sorted = true;
    }
    int rank = (int) Math.ceil(part * count);
    return nanos[Math.max(1, rank) - 1] / 1e6;
  }
}
