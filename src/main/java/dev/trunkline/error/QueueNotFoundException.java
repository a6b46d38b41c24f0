package dev.trunkline.error;

/** The queue was never declared, or has been deleted. */
public final class QueueNotFoundException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String queue;

  /**
   * Creates the exception.
   *
   * @param queue the name that was asked for
   */
  public QueueNotFoundException(String queue) {
    super("queue \"%s\" does not exist".formatted(queue), null);
    this.queue = queue;
  }

  /** The name that was asked for. */
  public String queue() {
    return queue;
  }
}
