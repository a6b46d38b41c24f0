package dev.trunkline.topic;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;

/** A topic as the database knows it. */
record TopicRow(int id, String name, TopicConfig config) {

  static TopicRow of(ResultSet row) throws SQLException {
    long ageMs = row.getLong("retention_age_ms");
    Duration age = row.wasNull() ? Retention.FOREVER : Duration.ofMillis(ageMs);
    Retention retention =
        new Retention(
            age,
            orElse(row, "retention_bytes", Retention.UNLIMITED),
            SlowGroups.valueOf(row.getString("slow_groups")),
            orElse(row, "slow_groups_cap_bytes", Retention.UNLIMITED));
    long lagMs = row.getLong("compaction_lag_ms");
    Compaction compaction =
        row.wasNull()
            ? Compaction.off()
            : new Compaction(
                true,
                Duration.ofMillis(lagMs),
                Duration.ofMillis(row.getLong("tombstone_retention_ms")));
    Chunks chunks =
        new Chunks(
            Duration.ofMillis(row.getLong("chunk_age_ms")),
            orElse(row, "chunk_bytes", Chunks.AUTO_BYTES));
    TopicConfig config =
        new TopicConfig(
            row.getInt("partitions"),
            row.getInt("max_payload_bytes"),
            retention,
            compaction,
            chunks);
    return new TopicRow(row.getInt("id"), row.getString("name"), config);
  }

  private static long orElse(ResultSet row, String column, long absent) throws SQLException {
    long value = row.getLong(column);
    return row.wasNull() ? absent : value;
  }
}
