package dev.trunkline.topic;

import java.sql.Connection;

/**
 * What a service does with a record inside the transaction in which the group goes past it: both
 * happen, or neither.
 */
@FunctionalInterface
public interface TransactionalHandler {
  /**
   * Handles one record.
   *
   * @param connection for the handler's SQL; it cannot be committed, rolled back (but to a
   *     savepoint) or closed, and is of no use afterwards
   * @throws Exception meaning: failed; what was done on the connection is undone, and the record is
   *     to be tried again by the group's retry policy
   */
  void handle(TopicRecord record, Connection connection) throws Exception;
}
