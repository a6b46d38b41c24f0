package dev.trunkline.internal.db;

import java.sql.ResultSet;
import java.sql.SQLException;

/**
 * What {@code trunkline.schema_version} says.
 *
 * @param version the newest migration applied
 * @param oldestClient the oldest library schema version that still works on it
 */
record SchemaVersion(int version, int oldestClient) {
  /** Where nothing has been applied. */
  static final SchemaVersion NONE = new SchemaVersion(0, 0);

  /** Answers a row if the schema has been created. */
  static final String TABLE_EXISTS =
      """
      SELECT 1 WHERE to_regclass('trunkline.schema_version') IS NOT NULL
      """;

  /** Answers a row if the schema is missing, and this role may not create it. */
  static final String CANNOT_BEGIN =
      """
      SELECT 1
      WHERE to_regnamespace('trunkline') IS NULL
        AND NOT has_database_privilege(current_database(), 'CREATE')
      """;

  /** Answers a row if the scripts were run by Flyway. */
  static final String HISTORY_EXISTS =
      """
      SELECT 1 WHERE to_regclass('trunkline.schema_history') IS NOT NULL
      """;

  static final String READ =
      """
      SELECT version, oldest_client
      FROM trunkline.schema_version
      """;

  /** Versioned scripts only: the repeatable ones have none. */
  static final String NEWEST_APPLIED =
      """
      SELECT coalesce(max(version::integer), 0)
      FROM trunkline.schema_history
      WHERE version ~ '^[0-9]{1,9}$' AND success
      """;

  static SchemaVersion of(ResultSet row) throws SQLException {
    return new SchemaVersion(row.getInt("version"), row.getInt("oldest_client"));
  }
}
