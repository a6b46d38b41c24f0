package dev.trunkline.retry;

/**
 * How a computed delay is spread, so that messages that failed together do not come back together.
 */
public enum Jitter {
  /**
   * Uniform between zero and the computed delay: "full jitter" in Marc Brooker, "Exponential
   * Backoff And Jitter", AWS Architecture Blog, 2015. The default.
   */
  FULL,

  /** The computed delay itself. */
  NONE
}
