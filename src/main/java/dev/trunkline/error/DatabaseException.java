package dev.trunkline.error;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A statement failed for a reason that is not the caller's: connection lost, server restarting,
 * privileges missing, and the like. Whether a commit that was cut off took effect is not known.
 */
public final class DatabaseException extends TrunklineException {
  private static final long serialVersionUID = 1L;

  private final @Nullable String sqlState;

  /**
   * Creates the exception.
   *
   * @param message what the server or the driver said
   * @param sqlState the five characters of the SQL standard, or null if there were none
   * @param cause the driver's exception
   */
  public DatabaseException(String message, @Nullable String sqlState, Throwable cause) {
    super(message, cause);
    this.sqlState = sqlState;
  }

  /**
   * The SQLSTATE: five characters, for example 40P01 for a deadlock; empty if the driver gave none.
   */
  public Optional<String> sqlState() {
    return Optional.ofNullable(sqlState);
  }
}
