package dev.trunkline.error;

/** The group exists with another configuration, and altering it was not asked for. */
public final class GroupConfigMismatchException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String topic;
  private final String group;

  /**
   * Creates the exception.
   *
   * @param topic the name of the topic
   * @param group the name of the group
   * @param existing the configuration it has
   * @param declared the configuration that was declared
   */
  public GroupConfigMismatchException(
      String topic, String group, Object existing, Object declared) {
    super(
        "group \"%s\" of topic \"%s\" exists with another configuration: it has %s, declared was %s; use alter to change it"
            .formatted(group, topic, existing, declared),
        null);
    this.topic = topic;
    this.group = group;
  }

  /** The name of the topic. */
  public String topic() {
    return topic;
  }

  /** The name of the group. */
  public String group() {
    return group;
  }
}
