package dev.trunkline.error;

/** The group has running members, and what was asked for needs it to have none. */
public final class GroupBusyException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String group;
  private final int members;

  /**
   * Creates the exception.
   *
   * @param group the name of the group
   * @param members how many run
   */
  public GroupBusyException(String group, int members) {
    super("group \"%s\" has %d running members: close them first".formatted(group, members), null);
    this.group = group;
    this.members = members;
  }

  /** The name of the group. */
  public String group() {
    return group;
  }

  /** How many run. */
  public int members() {
    return members;
  }
}
