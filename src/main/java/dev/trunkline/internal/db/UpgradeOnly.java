package dev.trunkline.internal.db;

import dev.trunkline.error.SchemaVersionException;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.flywaydb.core.api.callback.Callback;
import org.flywaydb.core.api.callback.Context;
import org.flywaydb.core.api.callback.Event;

/**
 * Runs no script of ours on a schema that a newer library has made: the repeatable ones would put
 * back older views and functions.
 *
 * <p>Asked before each script, while Flyway holds the lock under which it has looked for what is
 * missing, and in the transaction in which the script is to run: nobody can have made the schema
 * newer between this look and the script. Loaded only where Flyway is.
 */
final class UpgradeOnly implements Callback {
  @Override
  public boolean supports(Event event, Context context) {
    return event == Event.BEFORE_EACH_MIGRATE;
  }

  @Override
  public boolean canHandleInTransaction(Event event, Context context) {
    return true;
  }

  /** Throws if the schema is newer: Flyway then rolls back, and runs nothing more. */
  @Override
  public void handle(Event event, Context context) {
    try {
      SchemaVersion found = version(context.getConnection());
      if (found.version() > Migrations.VERSION) {
        throw new SchemaVersionException(
            "the schema \"trunkline\" has version %d, newer than this library's %d"
                .formatted(found.version(), Migrations.VERSION));
      }
    } catch (SQLException e) {
      throw Database.translated(e);
    }
  }

  @Override
  public String getCallbackName() {
    return "upgrade only";
  }

  /** Before the first script there is no table. */
  private static SchemaVersion version(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      try (ResultSet rows = statement.executeQuery(SchemaVersion.TABLE_EXISTS)) {
        if (!rows.next()) {
          return SchemaVersion.NONE;
        }
      }
      try (ResultSet rows = statement.executeQuery(SchemaVersion.READ)) {
        return rows.next() ? SchemaVersion.of(rows) : SchemaVersion.NONE;
      }
    }
  }
}
