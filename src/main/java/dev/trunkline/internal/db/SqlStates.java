package dev.trunkline.internal.db;

import dev.trunkline.error.DatabaseException;
import java.util.Set;

/**
 * What SQLSTATEs mean for us: the one place that knows them. Classes after appendix A of
 * PostgreSQL's manual.
 */
public final class SqlStates {
  /**
   * 08 connection, 25 transaction state (a server that became read-only in a fail-over), 40
   * rollback (deadlock, serialization), 53 resources, 55 not in the right state (lock timeout), 57
   * operator intervention (shutdown, cancel), 58 system error.
   */
  private static final Set<String> PASSING = Set.of("08", "25", "40", "53", "55", "57", "58");

  private static final String UNDEFINED_OBJECT = "42704";
  private static final String UNDEFINED_TABLE = "42P01";
  private static final String INSUFFICIENT_PRIVILEGE = "42501";
  private static final String IN_FAILED_TRANSACTION = "25P02";

  private static final String LOCK_NOT_AVAILABLE = "55P03";

  /**
   * 08 connection, 25 a server that became read-only, 57 operator intervention, 58 system error.
   */
  private static final Set<String> DOWN = Set.of("08", "25", "57", "58");

  private SqlStates() {}

  /** Whether somebody else has locked what was not to be waited for. */
  public static boolean isLocked(DatabaseException failure) {
    return failure.sqlState().filter(LOCK_NOT_AVAILABLE::equals).isPresent();
  }

  /** Whether one of our SQL functions was given the name of a queue that is not there. */
  public static boolean isUnknownQueue(DatabaseException failure) {
    return failure.sqlState().filter(UNDEFINED_OBJECT::equals).isPresent();
  }

  /** Whether a table that was named is not there, or not any more. */
  public static boolean isUnknownTable(DatabaseException failure) {
    return failure.sqlState().filter(UNDEFINED_TABLE::equals).isPresent();
  }

  /** Whether the role may not do this. */
  public static boolean isNotAllowed(DatabaseException failure) {
    return failure.sqlState().filter(INSUFFICIENT_PRIVILEGE::equals).isPresent();
  }

  /** Whether an earlier statement of the transaction had failed, whoever ran it. */
  public static boolean isInFailedTransaction(DatabaseException failure) {
    return failure.sqlState().filter(IN_FAILED_TRANSACTION::equals).isPresent();
  }

  /** Whether no other statement would fare better now: the server does not answer, or may not. */
  public static boolean isDown(DatabaseException failure) {
    return failure
        .sqlState()
        .map(state -> state.length() < 2 || DOWN.contains(state.substring(0, 2)))
        .orElse(true);
  }

  /**
   * Whether the same statement may work later: the trouble lies with the server or the way to it.
   */
  public static boolean mayPassByItself(DatabaseException failure) {
    return failure
        .sqlState()
        .map(state -> state.length() < 2 || PASSING.contains(state.substring(0, 2)))
        .orElse(true);
  }
}
