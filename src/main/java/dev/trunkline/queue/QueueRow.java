package dev.trunkline.queue;

import dev.trunkline.retry.Jitter;
import dev.trunkline.retry.RetryPolicy;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;

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
            new SendRules(deduplication(row), expiry(row)));
    return new QueueRow(row.getInt("id"), row.getString("name"), config, row.getBoolean("paused"));
  }

  private static Optional<Deduplication> deduplication(ResultSet row) throws SQLException {
    long windowMs = row.getLong("dedup_window_ms");
    return row.wasNull()
        ? Optional.empty()
        : Optional.of(
            new Deduplication(
                Duration.ofMillis(windowMs),
                DeduplicationScope.valueOf(row.getString("dedup_scope")),
                row.getBoolean("dedup_by_content")));
  }

  private static Optional<Expiry> expiry(ResultSet row) throws SQLException {
    long timeToLiveMs = row.getLong("time_to_live_ms");
    return row.wasNull()
        ? Optional.empty()
        : Optional.of(
            new Expiry(
                Duration.ofMillis(timeToLiveMs),
                ExpiredMessages.valueOf(row.getString("expired_messages"))));
  }
}
