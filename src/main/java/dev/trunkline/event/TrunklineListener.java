package dev.trunkline.event;

/**
 * Is told what an operator should hear of; registered by {@code TrunklineConfig.withListener}.
 *
 * <p>Called by background threads of the library, one event after the other: it must be quick and
 * thread-safe. What it throws is logged and stops nothing. An event is told in the process that
 * caused it, after the commit; if that process dies just then, nobody is told.
 */
public interface TrunklineListener {
  /** Hears nothing. */
  TrunklineListener NONE = new TrunklineListener() {};

  /** Retention has dropped what a group had not read. */
  default void recordsDropped(RecordsDropped event) {}

  /**
   * A bounded queue has come to the share of its bound that is called pressure, or has fallen a
   * tenth of the bound below it again. Told in every process that has the queue open.
   */
  default void queuePressure(QueuePressure event) {}

  /** A consumer of this process has become active, or has stopped being it. */
  default void activeConsumer(ActiveConsumer event) {}
}
