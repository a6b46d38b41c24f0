package dev.trunkline.demo;

/** Payment will never take this order: not to be tried again. Expected, so without a stack. */
final class RejectedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  RejectedException(String reason) {
    super(reason, null, false, false);
  }
}
