package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.sql.Connection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a handler is called.
 *
 * @param batched with many records at a time, not with one
 * @param transactional inside the transaction that commits the offset
 */
record Handling(boolean batched, boolean transactional, Call call) {

  /** The handler. */
  @FunctionalInterface
  interface Call {
    void handle(List<TopicRecord> records, @Nullable Connection connection) throws Exception;
  }

  static Handling recordByRecord(RecordHandler handler) {
    requireNonNull(handler, "handler");
    return new Handling(false, false, (records, connection) -> handler.handle(records.get(0)));
  }

  static Handling inBatches(BatchHandler handler) {
    requireNonNull(handler, "handler");
    return new Handling(true, false, (records, connection) -> handler.handle(records));
  }

  static Handling inTransactions(TransactionalHandler handler) {
    requireNonNull(handler, "handler");
    return new Handling(
        false,
        true,
        (records, connection) ->
            handler.handle(records.get(0), requireNonNull(connection, "connection")));
  }
}
