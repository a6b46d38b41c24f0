package dev.trunkline.topic;

/** What a handler threw, to be told from what went wrong elsewhere. Never leaves the package. */
final class HandlerFailure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  @SuppressWarnings("serial")
  private final Throwable thrown;

  HandlerFailure(Throwable thrown) {
    super(null, thrown, false, false);
    this.thrown = thrown;
  }

  Throwable thrown() {
    return thrown;
  }
}
