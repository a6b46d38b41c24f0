package dev.trunkline.error;

/** The topic has no group of this name, or it has been deleted. */
public final class GroupNotFoundException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String topic;
  private final String group;

  /**
   * Creates the exception.
   *
   * @param topic the name of the topic
   * @param group the name that was asked for
   */
  public GroupNotFoundException(String topic, String group) {
    super("topic \"%s\" has no group \"%s\"".formatted(topic, group), null);
    this.topic = topic;
    this.group = group;
  }

  /** The name of the topic. */
  public String topic() {
    return topic;
  }

  /** The name that was asked for. */
  public String group() {
    return group;
  }
}
