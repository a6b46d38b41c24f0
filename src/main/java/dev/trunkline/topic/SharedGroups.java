package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import dev.trunkline.error.GroupConfigMismatchException;
import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.internal.db.Database;

/** The shared groups of one topic: declare and alter. {@link Groups} does the rest. Thread-safe. */
final class SharedGroups {
  private final Database database;
  private final TopicRow topic;
  private final Runnable sequence;

  /**
   * Of this topic.
   *
   * @param sequence gives offsets to all that has been committed, so that the end is the end
   */
  SharedGroups(Database database, TopicRow topic, Runnable sequence) {
    this.database = database;
    this.topic = topic;
    this.sequence = sequence;
  }

  /**
   * Makes the group if it is not there, and finds it if it is there with this configuration.
   *
   * @throws GroupConfigMismatchException if it is there with another configuration, or is ordered
   */
  SharedGroupRow declare(String name, SharedGroupConfig config) {
    SharedGroupRow.Agreed agreed = SharedGroupRow.Agreed.of(requireNonNull(config, "config"));
    SharedGroupRow row = declared(name, agreed, config.start());
    if (!row.agreed().equals(agreed)) {
      throw new GroupConfigMismatchException(topic.name(), name, row.agreed(), agreed);
    }
    return row;
  }

  /**
   * Makes the group, or gives it this configuration.
   *
   * @throws GroupConfigMismatchException if it is there, but ordered
   */
  SharedGroupRow alter(String name, SharedGroupConfig config) {
    SharedGroupRow.Agreed agreed = SharedGroupRow.Agreed.of(requireNonNull(config, "config"));
    declared(name, agreed, config.start());
    database.run(session -> SharedGroupStore.alter(session, topic.id(), name, agreed));
    return find(name);
  }

  private SharedGroupRow declared(String name, SharedGroupRow.Agreed agreed, StartFrom start) {
    return database
        .run(session -> SharedGroupStore.find(session, topic.id(), name))
        .orElseGet(
            () -> {
              sequence.run();
              database.inTransaction(
                  session -> {
                    SharedGroupStore.declare(session, topic.id(), name, agreed)
                        .ifPresent(
                            id -> {
                              RebalanceStore.firstPartitions(session, topic.id(), id);
                              GroupStore.place(session, topic.id(), id, start);
                            });
                    return true;
                  });
              return database
                  .run(session -> SharedGroupStore.find(session, topic.id(), name))
                  .orElseThrow(
                      () ->
                          new GroupConfigMismatchException(
                              topic.name(), name, GroupKind.ORDERED, GroupKind.SHARED));
            });
  }

  private SharedGroupRow find(String name) {
    return database
        .run(session -> SharedGroupStore.find(session, topic.id(), name))
        .orElseThrow(() -> new GroupNotFoundException(topic.name(), name));
  }
}
