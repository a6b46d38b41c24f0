package dev.trunkline.topic;

/** What the process closes before it ends: pulling and pushing members. */
interface MemberConsumer {
  /** Stops, and leaves the group. Idempotent. */
  void close();

  /** Whether the calling thread is one of its own. */
  boolean runsOnThisThread();
}
