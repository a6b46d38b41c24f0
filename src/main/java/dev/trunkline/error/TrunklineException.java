package dev.trunkline.error;

import org.jspecify.annotations.Nullable;

/** The root of all exceptions of this library. Unchecked; immutable. */
public abstract class TrunklineException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what happened, with the identity of what it happened to
   * @param cause what led to it, or null
   */
  protected TrunklineException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
