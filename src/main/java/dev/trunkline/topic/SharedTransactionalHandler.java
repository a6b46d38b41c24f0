package dev.trunkline.topic;

import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import java.sql.Connection;

/**
 * What a service does with a record of a shared group by SQL that takes effect once. Called
 * concurrently up to the consumer's concurrency, in no order.
 */
@FunctionalInterface
public interface SharedTransactionalHandler {
  /**
   * Handles one delivery in a transaction that commits with its acknowledgement, and only with it.
   *
   * @param delivery what is handled; it is settled by what is returned, not by its own methods
   * @param connection with the transaction, for the handler's SQL and for {@link
   *     Topic#publish(Connection, Message)}; not to be used when the handler has returned, and
   *     neither committed nor rolled back by it (savepoints are fine)
   * @return {@link Outcome#ack()} to commit all of it; any other outcome rolls back what the
   *     handler did on the connection, and settles the record
   * @throws Exception meaning: roll back, try again by policy, unless the consumer is configured
   *     otherwise for this type
   */
  Outcome handle(SharedDelivery delivery, Connection connection) throws Exception;
}
