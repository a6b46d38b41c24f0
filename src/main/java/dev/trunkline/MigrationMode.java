package dev.trunkline;

/**
 * What is done about the schema when a Trunkline is opened. The version is checked in each mode.
 */
public enum MigrationMode {
  /** Create or upgrade the schema, by Flyway. The default. */
  MIGRATE,

  /** Change nothing; check, by Flyway, that each script was applied as this library has it. */
  VERIFY,

  /**
   * Change nothing, and do without Flyway: the scripts in {@code db/migrations} were run some other
   * way.
   */
  OFF
}
