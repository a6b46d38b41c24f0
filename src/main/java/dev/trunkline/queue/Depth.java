package dev.trunkline.queue;

/** So much waits, or is to be added: messages and their payload bytes. */
record Depth(long messages, long bytes) {
  Depth plus(Depth more) {
    return new Depth(messages + more.messages, bytes + more.bytes);
  }

  boolean isNothing() {
    return messages == 0 && bytes == 0;
  }
}
