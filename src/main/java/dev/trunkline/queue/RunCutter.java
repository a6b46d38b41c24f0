package dev.trunkline.queue;

import dev.trunkline.message.Message;
import java.util.Arrays;

/**
 * Cuts messages into runs: rows of ready that are claimed whole, or split once. Not thread-safe.
 *
 * <p>A run is bounded in count, so that splitting it stays cheap and competing consumers find
 * enough rows to lock, and in bytes, since a claim bounds its bytes by whole runs.
 */
final class RunCutter {
  /** Messages in a run. */
  static final int MAX_MESSAGES = 32;

  /** Payload bytes in a run, unless a single message is larger. */
  static final int MAX_BYTES = 256 * 1024;

  private final int[] current = new int[Message.HIGHEST_PRIORITY + 1];
  private final int[] messages = new int[Message.HIGHEST_PRIORITY + 1];
  private final long[] bytes = new long[Message.HIGHEST_PRIORITY + 1];
  private int newest = -1;

  RunCutter() {
    Arrays.fill(current, -1);
  }

  /** The number of the run that this message, the next of its priority, belongs to. */
  int runOf(int priority, int size) {
    boolean fits =
        current[priority] >= 0
            && messages[priority] < MAX_MESSAGES
            && bytes[priority] + size <= MAX_BYTES;
    if (!fits) {
      current[priority] = ++newest;
      messages[priority] = 0;
      bytes[priority] = 0;
    }
    messages[priority]++;
    bytes[priority] += size;
    return current[priority];
  }
}
