package dev.trunkline.internal.work;

import java.util.concurrent.atomic.AtomicBoolean;

/** Who settles a delivery: one, once, and by which way. Thread-safe. */
public final class Settling {
  private final AtomicBoolean begun = new AtomicBoolean();
  private volatile boolean byOutcomeOnly;
  private volatile boolean ackedInTransaction;

  /** Whoever gets true settles; nobody else may. */
  public boolean begin() {
    return begun.compareAndSet(false, true);
  }

  /** It came to nothing: it may be tried again. */
  public void failed() {
    begun.set(false);
  }

  /** Whether somebody settles it, or has. */
  public boolean hasBegun() {
    return begun.get();
  }

  /** Its handler works in a transaction that settles it. */
  public void byOutcomeOnly() {
    byOutcomeOnly = true;
  }

  /**
   * That the delivery's own methods may settle it: they would wait for the handler's transaction,
   * and the handler for them.
   *
   * @throws IllegalStateException if they may not
   */
  public void requireOwn(Object delivery) {
    if (byOutcomeOnly) {
      throw new IllegalStateException(
          delivery
              + " is settled by the outcome of its transactional handler, and by nothing else");
    }
  }

  /** It was acked in a transaction that may yet be rolled back. */
  void ackedInTransaction() {
    ackedInTransaction = true;
  }

  boolean isAckedInTransaction() {
    return ackedInTransaction;
  }
}
