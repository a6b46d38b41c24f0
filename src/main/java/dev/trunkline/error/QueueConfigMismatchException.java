package dev.trunkline.error;

/** The queue exists with another configuration, and altering it was not asked for. */
public final class QueueConfigMismatchException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String queue;

  /**
   * Creates the exception.
   *
   * @param queue the name of the queue
   * @param existing the configuration it has
   * @param declared the configuration that was declared
   */
  public QueueConfigMismatchException(String queue, Object existing, Object declared) {
    super(
        "queue \"%s\" exists with another configuration: it has %s, declared was %s; use alter to change it"
            .formatted(queue, existing, declared),
        null);
    this.queue = queue;
  }

  /** The name of the queue. */
  public String queue() {
    return queue;
  }
}
