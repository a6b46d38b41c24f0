package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.GroupBusyException;
import dev.trunkline.error.GroupConfigMismatchException;
import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.internal.db.Database;
import java.util.List;

/** The groups of one topic: declare, find, alter, reset, delete. Thread-safe. */
final class Groups {
  private final Database database;
  private final int topicId;
  private final String topic;
  private final Runnable sequence;

  /**
   * Of this topic.
   *
   * @param sequence gives offsets to all that has been committed, so that the end is the end
   */
  Groups(Database database, int topicId, String topic, Runnable sequence) {
    this.database = database;
    this.topicId = topicId;
    this.topic = topic;
    this.sequence = sequence;
  }

  /**
   * Makes the group if it is not there, and finds it if it is there with this configuration.
   *
   * @throws GroupConfigMismatchException if it is there with another configuration
   */
  GroupRow declare(String name, GroupKind kind, GroupConfig config) {
    GroupRow.Agreed agreed = GroupRow.Agreed.of(kind, requireNonNull(config, "config"));
    GroupRow row = declared(name, agreed, config.start());
    if (!row.agreed().equals(agreed)) {
      throw new GroupConfigMismatchException(topic, name, row.agreed(), agreed);
    }
    return row;
  }

  /**
   * Makes the group, or gives it this configuration.
   *
   * @throws GroupConfigMismatchException if it is there, but of another kind
   */
  GroupRow alter(String name, GroupKind kind, GroupConfig config) {
    GroupRow.Agreed agreed = GroupRow.Agreed.of(kind, requireNonNull(config, "config"));
    GroupRow row = declared(name, agreed, config.start());
    if (!database.run(session -> GroupStore.alter(session, topicId, name, agreed))) {
      throw new GroupConfigMismatchException(topic, name, row.agreed(), agreed);
    }
    return find(name);
  }

  private GroupRow declared(String name, GroupRow.Agreed agreed, StartFrom start) {
    return database
        .run(session -> GroupStore.find(session, topicId, name))
        .orElseGet(
            () -> {
              sequence.run();
              database.inTransaction(
                  session -> {
                    GroupStore.declare(session, topicId, name, agreed)
                        .ifPresent(
                            id -> {
                              RebalanceStore.firstPartitions(session, topicId, id);
                              GroupStore.place(session, topicId, id, start);
                            });
                    return true;
                  });
              return find(name);
            });
  }

  /**
   * Finds a group that has been declared.
   *
   * @throws GroupNotFoundException if there is none
   */
  GroupRow find(String name) {
    return database
        .run(session -> GroupStore.find(session, topicId, name))
        .orElseThrow(() -> new GroupNotFoundException(topic, name));
  }

  List<String> names() {
    return database.run(session -> GroupStore.names(session, topicId));
  }

  /**
   * Moves a group without running members to another place. What was on its way back to it, and the
   * attempts counted so far, are of the old place and stay; but a shared group begins anew: what it
   * had claimed, and what waited, is forgotten.
   *
   * @throws GroupBusyException if it has running members
   */
  void reset(GroupRow group, Rebalancer rebalancer, StartFrom to) {
    sequence.run();
    rebalancer.change(
        group,
        session -> {
          int running = MemberStore.running(session, group.id()).size();
          if (running > 0) {
            throw new GroupBusyException(group.name(), running);
          }
          RebalanceStore.addPartitions(session, group.id());
          if (group.agreed().kind() == GroupKind.SHARED) {
            SharedGroupStore.clear(session, group.id());
          }
          GroupStore.place(session, topicId, group.id(), to);
          return true;
        });
  }

  /** Answers whether it was there. */
  boolean delete(int groupId) {
    return delete(database, groupId);
  }

  /** The same, whatever the topic. */
  static boolean delete(Database database, int groupId) {
    boolean deleted =
        database.inTransaction(
            session ->
                RebalanceStore.lock(session, groupId) && GroupStore.delete(session, groupId));
    // A claim that was under way has left a lease that the deletion could not see yet.
    database.run(session -> SharedGroupStore.clear(session, groupId));
    return deleted;
  }
}
