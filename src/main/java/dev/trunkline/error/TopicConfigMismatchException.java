package dev.trunkline.error;

/** The topic exists with another configuration, and altering it was not asked for. */
public final class TopicConfigMismatchException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String topic;

  /**
   * Creates the exception.
   *
   * @param topic the name of the topic
   * @param existing the configuration it has
   * @param declared the configuration that was declared
   */
  public TopicConfigMismatchException(String topic, Object existing, Object declared) {
    super(
        "topic \"%s\" exists with another configuration: it has %s, declared was %s; use alter to change it"
            .formatted(topic, existing, declared),
        null);
    this.topic = topic;
  }

  /** The name of the topic. */
  public String topic() {
    return topic;
  }
}
