package dev.trunkline.queue;

import dev.trunkline.retry.Jitter;
import dev.trunkline.retry.RetryPolicy;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;

/** A queue as the database knows it. */
record QueueRow(int id, String name, QueueConfig config, boolean paused) {

  static QueueRow of(ResultSet row) throws SQLException {
    int maxDeliveries = row.getInt("max_deliveries");
    RetryPolicy retryPolicy =
        new RetryPolicy(
            row.wasNull() ? RetryPolicy.UNLIMITED : maxDeliveries,
            Duration.ofMillis(row.getLong("retry_initial_delay_ms")),
            Duration.ofMillis(row.getLong("retry_max_delay_ms")),
            row.getDouble("retry_multiplier"),
            Jitter.valueOf(row.getString("retry_jitter")));
    QueueConfig config =
        new QueueConfig(
            Duration.ofMillis(row.getLong("visibility_timeout_ms")),
            retryPolicy,
            row.getInt("max_payload_bytes"));
    return new QueueRow(row.getInt("id"), row.getString("name"), config, row.getBoolean("paused"));
  }
}
