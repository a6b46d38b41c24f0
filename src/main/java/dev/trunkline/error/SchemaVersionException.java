package dev.trunkline.error;

/** The schema in the database does not fit this version of the library. Nothing was changed. */
public final class SchemaVersionException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what was found, what is needed, and what to do
   */
  public SchemaVersionException(String message) {
    super(message, null);
  }
}
