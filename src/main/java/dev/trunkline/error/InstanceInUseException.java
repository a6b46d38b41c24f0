package dev.trunkline.error;

/** A static member of this id is alive: it was heard of while the newcomer waited. */
public final class InstanceInUseException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final String group;
  private final String instanceId;

  /**
   * Creates the exception.
   *
   * @param group the name of the group
   * @param instanceId the id that is in use
   * @param host where the other one runs
   * @param pid its process id
   */
  public InstanceInUseException(String group, String instanceId, String host, long pid) {
    super(
        "member \"%s\" of group \"%s\" is alive: process %d on %s; an instanceId belongs to one member at a time"
            .formatted(instanceId, group, pid, host),
        null);
    this.group = group;
    this.instanceId = instanceId;
  }

  /** The name of the group. */
  public String group() {
    return group;
  }

  /** The id that is in use. */
  public String instanceId() {
    return instanceId;
  }
}
