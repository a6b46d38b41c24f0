package dev.trunkline;

/**
 * What is done about the schema when a Trunkline is opened. The version is checked in each mode.
 */
public enum MigrationMode {
  /** Create or upgrade the schema, by Flyway; leave a newer one as it is. The default. */
  MIGRATE,

  /**
   * Change nothing; check, by Flyway, that each script was applied as this library has it. In a
   * schema that is newer than the library the repeatable scripts may be others.
   */
  VERIFY,

  /**
   * Change nothing, and do without Flyway: the scripts in {@code db/migrations} were run some other
   * way.
   */
  OFF
}
