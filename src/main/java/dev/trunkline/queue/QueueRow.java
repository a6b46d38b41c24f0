package dev.trunkline.queue;

import dev.trunkline.retry.FailurePolicy;
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
            row.getInt("max_payload_bytes"),
            ordering(row));
    return new QueueRow(row.getInt("id"), row.getString("name"), config, row.getBoolean("paused"));
  }

  private static Ordering ordering(ResultSet row) throws SQLException {
    String ordering = row.getString("ordering");
    if (ordering == null) {
      return Ordering.none();
    }
    return switch (ordering) {
      case "FIFO" -> Ordering.fifoByKey(FailurePolicy.valueOf(row.getString("failure_policy")));
      case "FAIR" -> Ordering.fairByKey();
      default -> throw new SQLException("this version knows no ordering " + ordering);
    };
  }
}
