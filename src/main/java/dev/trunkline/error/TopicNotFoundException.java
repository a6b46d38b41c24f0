package dev.trunkline.error;

/** The topic was never declared, or has been deleted. */
public final class TopicNotFoundException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String topic;

  /**
   * Creates the exception.
   *
   * @param topic the name that was asked for
   */
  public TopicNotFoundException(String topic) {
    super("topic \"%s\" does not exist".formatted(topic), null);
    this.topic = topic;
  }

  /** The name that was asked for. */
  public String topic() {
    return topic;
  }
}
