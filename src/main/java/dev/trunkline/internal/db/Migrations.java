package dev.trunkline.internal.db;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.SchemaVersionException;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.output.ValidateResult;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings the schema {@code trunkline} up to date, or only checks it.
 *
 * <p>Flyway runs the scripts, with a history table of its own in that schema, so that a host
 * application's Flyway and its tables are not touched. The version check needs no Flyway: it reads
 * {@code trunkline.schema_version}.
 */
public final class Migrations {
  /** The newest migration that this version of the library was written for. */
  static final int VERSION = 20;

  private static final Logger LOG = LoggerFactory.getLogger(Migrations.class);
  private static final int ATTEMPTS = 10;

  private final Database database;

  /** For this database. */
  public Migrations(Database database) {
    this.database = database;
  }

  /**
   * Runs what is missing, then checks. A schema that is newer than this library is left as it is.
   * Two processes may do so at once, of different versions, too.
   */
  public void migrate() {
    requireFlyway();
    if (database.answers(SchemaVersion.TABLE_EXISTS)) {
      refuseTooNew();
      if (isLeftAsItIs()) {
        return;
      }
    } else if (database.answers(SchemaVersion.CANNOT_BEGIN)) {
      // Flyway finds out, too, but tries for ten seconds.
      throw Database.translated(
          new SQLException(
              "permission denied: the schema \"trunkline\" is missing, and this role lacks CREATE"
                  + " on the database",
              "42501"));
    }
    for (int attempt = 1; ; attempt++) {
      try {
        FlywayRunner.migrate(database);
        break;
      } catch (DatabaseException e) {
        if (!hasBecomeNewer(e)) {
          throw e;
        }
        break;
      } catch (FlywayRunner.Collision e) {
        if (attempt == ATTEMPTS) {
          throw e;
        }
        LOG.debug("another process migrates at the same time, trying again: {}", e.getMessage());
      }
    }
    check();
  }

  /**
   * Checks the version, then that every script was applied as it stands here; in a schema that is
   * newer than this library the repeatable ones need not be: they are the newer library's.
   */
  public void verify() {
    requireFlyway();
    check();
    Optional<String> fault = FlywayRunner.fault(database, true);
    // Asked afterwards: a newer library may have begun meanwhile.
    if (fault.isPresent() && version().version() > VERSION) {
      fault = FlywayRunner.fault(database, false);
    }
    if (fault.isPresent()) {
      throw new SchemaVersionException(
          "the schema \"trunkline\" is not what this library's scripts made: " + fault.get());
    }
  }

  /**
   * Checks the version only; needs no Flyway.
   *
   * @throws SchemaVersionException if the schema is missing, too old or too new
   */
  public void check() {
    if (!database.answers(SchemaVersion.TABLE_EXISTS)) {
      throw new SchemaVersionException(
          "the schema \"trunkline\" is missing: this library needs its version %d; open with migrations, or run the"
                  .formatted(VERSION)
              + " scripts in db/migrations");
    }
    refuseTooNew();
    SchemaVersion found = version();
    if (found.version() < VERSION) {
      throw new SchemaVersionException(
          "the schema \"trunkline\" is too old: it has version %d, this library needs %d; open with migrations, or run"
                  .formatted(found.version(), VERSION)
              + " the newer scripts in db/migrations");
    }
  }

  private static void requireFlyway() {
    try {
      Class.forName("org.flywaydb.core.Flyway", false, Migrations.class.getClassLoader());
    } catch (ClassNotFoundException e) {
      throw new SchemaVersionException(
          "Flyway is not on the class path: add flyway-core and flyway-database-postgresql, or run"
              + " the scripts in db/migrations some other way and open with MigrationMode.OFF");
    }
  }

  private void refuseTooNew() {
    SchemaVersion found = version();
    if (found.oldestClient() > VERSION) {
      throw new SchemaVersionException(
          "the schema \"trunkline\" is too new: it has version %d and needs a library written for %d or later, this"
                  .formatted(found.version(), found.oldestClient())
              + " one was written for %d; upgrade the library".formatted(VERSION));
    }
  }

  private boolean isLeftAsItIs() {
    int found = version().version();
    if (found > VERSION) {
      LOG.info(
          "the schema \"trunkline\" has version {}, newer than this library's {}: it is left as it is",
          found,
          VERSION);
    }
    return found > VERSION;
  }

  /** Whether a newer library was faster: whatever was in our way then, is no fault. */
  private boolean hasBecomeNewer(DatabaseException failure) {
    try {
      return isLeftAsItIs();
    } catch (DatabaseException e) {
      failure.addSuppressed(e);
      return false;
    }
  }

  private SchemaVersion version() {
    List<SchemaVersion> rows =
        database.run(session -> session.statement(SchemaVersion.READ).list(SchemaVersion::of));
    SchemaVersion found = rows.isEmpty() ? SchemaVersion.NONE : rows.get(0);
    if (database.answers(SchemaVersion.HISTORY_EXISTS)) {
      int newest =
          database.run(
              session ->
                  session
                      .statement(SchemaVersion.NEWEST_APPLIED)
                      .list(row -> row.getInt(1))
                      .get(0));
      if (newest > Math.max(found.version(), VERSION)) {
        // Applied by hand or half rolled back: what the newer script promised to old code is not
        // known.
        return new SchemaVersion(newest, newest);
      }
    }
    return found;
  }

  /** All that touches Flyway's classes: loaded only when asked for, since a host may bring none. */
  static final class FlywayRunner {
    private FlywayRunner() {}

    static void migrate(Database database) {
      try {
        flyway(database).migrate();
      } catch (FlywayException e) {
        if (isCollision(e)) {
          throw new Collision(e);
        }
        throw translated("the schema \"trunkline\" could not be migrated: ", e);
      }
    }

    /** What is not as it stands here, if anything; repeatable scripts have no version. */
    static Optional<String> fault(Database database, boolean ofRepeatable) {
      try {
        ValidateResult result = flyway(database).validateWithResult();
        if (ofRepeatable && !result.validationSuccessful) {
          return Optional.of(result.getAllErrorMessages());
        }
        return result.invalidMigrations.stream()
            .filter(script -> !script.version.isEmpty())
            .map(script -> script.errorDetails.errorMessage)
            .reduce((one, other) -> one + "\n" + other);
      } catch (FlywayException e) {
        return Optional.of(String.valueOf(e.getMessage()));
      }
    }

    private static Flyway flyway(Database database) {
      return Flyway.configure(Migrations.class.getClassLoader())
          .dataSource(database.dataSource())
          .schemas("trunkline")
          .defaultSchema("trunkline")
          .table("schema_history")
          .locations("classpath:dev/trunkline/migrations")
          .callbacks(new UpgradeOnly())
          .load();
    }

    /**
     * Two processes created the schema or its history table at the same moment: one of them only
     * has to try again.
     */
    private static boolean isCollision(FlywayException failure) {
      String state = Database.translated(failure).sqlState().orElse("");
      return List.of("23505", "42P06", "42P07", "40P01", "XX000").contains(state);
    }

    private static DatabaseException translated(String prefix, FlywayException failure) {
      DatabaseException inner = Database.translated(failure);
      return new DatabaseException(
          prefix + failure.getMessage(), inner.sqlState().orElse(null), failure);
    }

    static final class Collision extends RuntimeException {
      private static final long serialVersionUID = 1L;

      Collision(FlywayException cause) {
        super(cause.getMessage(), cause);
      }
    }
  }
}
