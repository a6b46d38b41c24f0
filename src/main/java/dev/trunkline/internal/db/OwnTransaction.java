package dev.trunkline.internal.db;

import dev.trunkline.error.DatabaseException;
import java.sql.Connection;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A transaction on a connection of ours that other people's statements are part of. Rolled back
 * when it is closed, unless it was committed. Not thread-safe, but for {@link #abort}.
 */
public final class OwnTransaction implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(OwnTransaction.class);

  private final Connection connection;
  private final boolean autoCommitBefore;
  private final int isolationBefore;
  private boolean open = true;

  OwnTransaction(Connection connection, boolean isolationDiffers) throws SQLException {
    this.connection = connection;
    this.autoCommitBefore = connection.getAutoCommit();
    this.isolationBefore = isolationDiffers ? Database.readCommitted(connection) : 0;
    if (autoCommitBefore) {
      connection.setAutoCommit(false);
    }
  }

  /**
   * Runs statements of ours in this transaction; the settings of the pool's connections hold.
   *
   * @throws DatabaseException if one of them fails
   */
  public <T extends @Nullable Object> T run(Work<T> work) {
    return work.on(new Session(connection, false));
  }

  /** For everybody else's. */
  public Connection connection() {
    return connection;
  }

  /**
   * Commits.
   *
   * @throws DatabaseException if it failed, or if the answer was lost: whether it took effect is
   *     then for the caller to find out
   */
  public void commit() {
    try {
      connection.commit();
      open = false;
    } catch (SQLException e) {
      throw Database.translated(e);
    }
  }

  /**
   * Cuts the connection, from another thread and whatever it is doing: the server rolls back what
   * it has not committed.
   */
  public void abort() {
    try {
      if (connection.isWrapperFor(PGConnection.class)) {
        // A server that is in the middle of a statement does not notice that nobody waits for it.
        connection.unwrap(PGConnection.class).cancelQuery();
      }
      connection.abort(Runnable::run);
    } catch (SQLException e) {
      LOG.debug("a connection could not be aborted", e);
    }
  }

  @Override
  public void close() {
    try {
      if (open) {
        connection.rollback();
      }
      Database.restore(connection, autoCommitBefore, isolationBefore);
    } catch (SQLException e) {
      // The connection is broken, so the server rolls back by itself; the pool finds out, too.
      LOG.debug("a transaction could not be rolled back", e);
    } finally {
      Database.close(connection);
    }
  }
}
