package dev.trunkline.demo;

import org.jspecify.annotations.Nullable;

/** The demo cannot begin; the message says why, on one line. */
final class CannotStartException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  CannotStartException(String reason, @Nullable Throwable cause) {
    super(reason, cause);
  }
}
