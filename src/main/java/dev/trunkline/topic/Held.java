package dev.trunkline.topic;

import java.util.concurrent.locks.ReentrantLock;

/**
 * A partition in the hands of a member, under the epoch that it was given for. What is here is
 * written by one thread at a time and read by others.
 */
final class Held {
  private final int partition;
  private final long memberId;
  private final long epoch;

  /** Held while an offset is committed, so that an older one is never committed after it. */
  private final ReentrantLock committing = new ReentrantLock();

  private volatile long position;
  private volatile long committed;
  private volatile boolean paused;

  /** Goes on where the group has committed. */
  Held(int partition, long memberId, long epoch, long committed) {
    this.partition = partition;
    this.memberId = memberId;
    this.epoch = epoch;
    this.position = committed;
    this.committed = committed;
  }

  int partition() {
    return partition;
  }

  long memberId() {
    return memberId;
  }

  /** The fencing token. */
  long epoch() {
    return epoch;
  }

  /** The next offset that is to be handled. */
  long position() {
    return position;
  }

  void moveTo(long offset) {
    position = offset;
  }

  /** The position that was last committed. */
  long committed() {
    return committed;
  }

  void committed(long offset) {
    committed = offset;
  }

  ReentrantLock committing() {
    return committing;
  }

  boolean isDirty() {
    return position != committed;
  }

  /** Whether no further record is begun. */
  boolean isPaused() {
    return paused;
  }

  void pause(boolean whether) {
    paused = whether;
  }
}
