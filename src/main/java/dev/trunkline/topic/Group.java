package dev.trunkline.topic;

import dev.trunkline.error.GroupBusyException;
import dev.trunkline.error.GroupNotFoundException;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;

/** A group, to look at it and to mend it; made by the first who joins it. Thread-safe. */
public final class Group {
  private final TopicEngine engine;
  private final TopicRow topic;
  private final Groups groups;
  private final GroupRow row;

  Group(TopicEngine engine, TopicRow topic, Groups groups, GroupRow row) {
    this.engine = engine;
    this.topic = topic;
    this.groups = groups;
    this.row = row;
  }

  /** The name. */
  public String name() {
    return row.name();
  }

  /** The name of the topic. */
  public String topic() {
    return row.topic();
  }

  /**
   * How far the group is behind in each partition, as far as it has committed. Everything that was
   * committed to the topic before the call counts.
   */
  public List<PartitionLag> lag() {
    engine.requireOpen();
    engine.tail(topic).boundsForSure();
    return engine.database().run(session -> LagStore.lag(session, row.id()));
  }

  /** The sum of {@link PartitionLag#records}. */
  public long lagInRecords() {
    return lag().stream().mapToLong(PartitionLag::records).sum();
  }

  /** The longest {@link PartitionLag#time}. */
  public Duration lagInTime() {
    return lag().stream()
        .map(PartitionLag::time)
        .max(Comparator.naturalOrder())
        .orElse(Duration.ZERO);
  }

  /** How many members run: neither closed nor silent for longer than their session timeout. */
  public int members() {
    engine.requireOpen();
    return engine.database().run(session -> MemberStore.running(session, row.id())).size();
  }

  /**
   * Moves the group to another place, in every partition. A shared group begins anew there: what it
   * had claimed, and what waited to be delivered again, is forgotten.
   *
   * @throws GroupBusyException if it has running members: they would go on where they are
   * @throws GroupNotFoundException if it has been deleted
   */
  public void reset(StartFrom place) {
    engine.requireOpen();
    groups.reset(row, engine.groups().rebalancer(), place);
  }

  /** The records that were given up. */
  public GroupDeadLetters deadLetters() {
    return new GroupDeadLetters(engine, row);
  }

  /**
   * Deletes the group: where it was, and what was on its way back to it. Its members end; its dead
   * letters stay, and are found again by a group of the same name.
   *
   * @throws GroupNotFoundException if it has been deleted before
   */
  public void delete() {
    engine.requireOpen();
    if (!groups.delete(row.id())) {
      throw new GroupNotFoundException(row.topic(), row.name());
    }
    engine.groups().lookAgain();
    engine.shared().lookAgain();
  }

  @Override
  public String toString() {
    return "Group[topic=%s, name=%s]".formatted(row.topic(), row.name());
  }
}
