package dev.trunkline.queue;

import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.Jitter;
import dev.trunkline.retry.RetryPolicy;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;

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
            new SendRules(deduplication(row), expiry(row)),
            flowRules(row),
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

  private static FlowRules flowRules(ResultSet row) throws SQLException {
    FlowRules rules = FlowRules.none().withSingleActiveConsumer(row.getBoolean("single_active"));
    Optional<Bounds> bounds = bounds(row);
    if (bounds.isPresent()) {
      rules = rules.withBounds(bounds.get());
    }
    OptionalLong rate = optional(row, "rate_messages");
    if (rate.isPresent()) {
      rules =
          rules.withRateLimit(
              new RateLimit(
                  (int) rate.getAsLong(),
                  Duration.ofMillis(row.getLong("rate_period_ms")),
                  row.getInt("rate_burst")));
    }
    OptionalLong maxInFlight = optional(row, "max_in_flight");
    if (maxInFlight.isPresent()) {
      rules = rules.withMaxInFlight((int) maxInFlight.getAsLong());
    }
    OptionalLong ageing = optional(row, "priority_ageing_ms");
    return ageing.isPresent()
        ? rules.withPriorityAgeing(Duration.ofMillis(ageing.getAsLong()))
        : rules;
  }

  /** The bounds, of a row that has their columns. */
  static Optional<Bounds> bounds(ResultSet row) throws SQLException {
    OptionalLong maxMessages = optional(row, "max_messages");
    OptionalLong maxBytes = optional(row, "max_bytes");
    if (maxMessages.isEmpty() && maxBytes.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(
        new Bounds(
            maxMessages,
            maxBytes,
            Overflow.valueOf(row.getString("overflow")),
            Duration.ofMillis(row.getLong("max_wait_ms")),
            row.getDouble("pressure_at")));
  }

  private static OptionalLong optional(ResultSet row, String column) throws SQLException {
    long value = row.getLong(column);
    return row.wasNull() ? OptionalLong.empty() : OptionalLong.of(value);
  }
}
