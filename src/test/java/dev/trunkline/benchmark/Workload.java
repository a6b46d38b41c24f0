package dev.trunkline.benchmark;

/**
 * Who sends and receives how much at a time.
 *
 * @param producers threads that send
 * @param batch messages in one transaction of a producer
 * @param consumers threads that receive
 * @param claim messages that a consumer asks for, and settles, at a time
 * @param window messages that may be outstanding before producers have to wait
 * @param copies how often each message is received: by how many groups, or readers
 */
record Workload(int producers, int batch, int consumers, int claim, int window, int copies) {
  static final Workload BATCHES = new Workload(2, 20, 2, 100, 10_000, 1);
  static final Workload SINGLE = new Workload(4, 1, 2, 100, 10_000, 1);

  /** A log that so many groups of two members read. */
  static Workload groups(int groups) {
    return new Workload(2, 20, 2 * groups, 500, 10_000, groups);
  }

  /** A table that so many readers page through, each from end to end. */
  static Workload readers(int readers) {
    return new Workload(2, 20, readers, 500, 10_000, readers);
  }

  @Override
  public String toString() {
    return "%d producers of %d, %d consumers of %d, at most %d outstanding"
        .formatted(producers, batch, consumers, claim, window);
  }
}
