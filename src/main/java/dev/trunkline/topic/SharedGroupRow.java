package dev.trunkline.topic;

import dev.trunkline.retry.Jitter;
import dev.trunkline.retry.RetryPolicy;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;

/** A shared group as the database knows it. */
record SharedGroupRow(int id, int topicId, String topic, String name, Agreed agreed) {

  /** What all processes agree on about a shared group. */
  record Agreed(Duration visibilityTimeout, RetryPolicy retryPolicy, Duration sessionTimeout) {
    static Agreed of(SharedGroupConfig config) {
      return new Agreed(config.visibilityTimeout(), config.retryPolicy(), config.sessionTimeout());
    }
  }

  static SharedGroupRow of(ResultSet row) throws SQLException {
    int maxDeliveries = row.getInt("max_deliveries");
    RetryPolicy retryPolicy =
        new RetryPolicy(
            row.wasNull() ? RetryPolicy.UNLIMITED : maxDeliveries,
            Duration.ofMillis(row.getLong("retry_initial_delay_ms")),
            Duration.ofMillis(row.getLong("retry_max_delay_ms")),
            row.getDouble("retry_multiplier"),
            Jitter.valueOf(row.getString("retry_jitter")));
    return new SharedGroupRow(
        row.getInt("id"),
        row.getInt("topic_id"),
        row.getString("topic"),
        row.getString("name"),
        new Agreed(
            Duration.ofMillis(row.getLong("visibility_timeout_ms")),
            retryPolicy,
            Duration.ofMillis(row.getLong("session_timeout_ms"))));
  }

  /** For the log. */
  String title() {
    return topic + "/" + name;
  }
}
