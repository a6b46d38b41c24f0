package dev.trunkline.queue;

import dev.trunkline.internal.db.StoredHeaders;
import dev.trunkline.message.Message;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;

/** A message as the database knows it. */
record MessageRow(Message message, Instant enqueuedAt) {

  static MessageRow of(ResultSet row, int priority) throws SQLException {
    return new MessageRow(
        Message.stored(
            row.getBytes("payload"),
            row.getString("key"),
            row.getString("type"),
            row.getString("content_type"),
            StoredHeaders.of(row.getArray("headers")),
            priority),
        row.getObject("enqueued_at", OffsetDateTime.class).toInstant());
  }
}
