package dev.trunkline.topic;

import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.Jitter;
import dev.trunkline.retry.RetryPolicy;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;

/** A group as the database knows it. */
record GroupRow(int id, int topicId, String topic, String name, Agreed agreed) {

  /** What all processes agree on about a group. */
  record Agreed(
      GroupKind kind,
      FailurePolicy failurePolicy,
      RetryPolicy retryPolicy,
      OutOfRange outOfRange,
      Duration sessionTimeout) {

    static Agreed of(GroupKind kind, GroupConfig config) {
      return new Agreed(
          kind,
          config.failurePolicy(),
          config.retryPolicy(),
          config.outOfRange(),
          config.sessionTimeout());
    }
  }

  static GroupRow of(ResultSet row) throws SQLException {
    int maxDeliveries = row.getInt("max_deliveries");
    RetryPolicy retryPolicy =
        new RetryPolicy(
            row.wasNull() ? RetryPolicy.UNLIMITED : maxDeliveries,
            Duration.ofMillis(row.getLong("retry_initial_delay_ms")),
            Duration.ofMillis(row.getLong("retry_max_delay_ms")),
            row.getDouble("retry_multiplier"),
            Jitter.valueOf(row.getString("retry_jitter")));
    Agreed agreed =
        new Agreed(
            GroupKind.valueOf(row.getString("kind")),
            FailurePolicy.valueOf(row.getString("failure_policy")),
            retryPolicy,
            OutOfRange.valueOf(row.getString("out_of_range")),
            Duration.ofMillis(row.getLong("session_timeout_ms")));
    return new GroupRow(
        row.getInt("id"),
        row.getInt("topic_id"),
        row.getString("topic"),
        row.getString("name"),
        agreed);
  }

  /** For the log. */
  String title() {
    return topic + "/" + name;
  }
}
