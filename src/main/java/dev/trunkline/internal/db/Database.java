package dev.trunkline.internal.db;

import static java.util.Objects.requireNonNull;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.error.DatabaseException;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.Semaphore;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.jdbc.PreferQueryMode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connections and transactions, ours and the caller's. Thread-safe.
 *
 * <p>Statements of ours run at READ COMMITTED and, one by one, in auto-commit, whatever the pool's
 * defaults are; a pooled connection goes back the way it came.
 */
public final class Database {
  private static final Logger LOG = LoggerFactory.getLogger(Database.class);

  private static final int SMALLEST_POOL_TO_LISTEN = 3;

  /**
   * What is left of a pool when handlers have taken theirs: to listen, to beat and renew, to claim
   * and settle.
   */
  private static final int CONNECTIONS_OF_OUR_OWN = 3;

  private final DataSource dataSource;
  private final Semaphore transactionSlots;

  /**
   * The pool's connections come with another isolation than READ COMMITTED: each one has to be set,
   * and set back.
   */
  private volatile boolean isolationDiffers;

  /**
   * The driver sends a text of several statements one by one, so that in auto-commit each would be
   * a transaction of its own, and the settings before a statement gone when it runs.
   */
  private volatile boolean sentOneByOne;

  /** Remembers the pool; {@link #inspect} connects. */
  public Database(DataSource dataSource) {
    this.dataSource = requireNonNull(dataSource, "dataSource");
    int handlers =
        dataSource instanceof HikariDataSource pool
            ? pool.getMaximumPoolSize() - CONNECTIONS_OF_OUR_OWN
            : Integer.MAX_VALUE;
    this.transactionSlots = new Semaphore(Math.max(1, handlers), true);
  }

  /**
   * Connects once and looks at what the pool's connections are like.
   *
   * @throws DatabaseException if the database cannot be reached
   */
  public void inspect() {
    try (Connection connection = dataSource.getConnection()) {
      isolationDiffers =
          connection.getTransactionIsolation() != Connection.TRANSACTION_READ_COMMITTED;
      sentOneByOne =
          connection.isWrapperFor(PGConnection.class)
              && connection.unwrap(PGConnection.class).getPreferQueryMode()
                  == PreferQueryMode.SIMPLE;
      if (!connection.getAutoCommit()) {
        connection.rollback();
      }
      if (isolationDiffers) {
        LOG.info(
            "the pool's default isolation is not READ COMMITTED: it is set for each statement of"
                + " ours");
      }
    } catch (SQLException e) {
      throw translated(e);
    }
  }

  /** Runs statements on a connection of ours, each a transaction of its own. */
  public <T extends @Nullable Object> T run(Work<T> work) {
    return onOwn(!sentOneByOne, work);
  }

  /**
   * Runs statements on a connection of ours in one transaction: committed if the work returns, else
   * rolled back.
   */
  public <T extends @Nullable Object> T inTransaction(Work<T> work) {
    return onOwn(false, work);
  }

  /**
   * Runs statements on the caller's connection, as part of whatever transaction is open on it.
   * Changes nothing else about the connection.
   */
  public <T extends @Nullable Object> T on(Connection connection, Work<T> work) {
    requireNonNull(connection, "connection");
    return work.on(new Session(connection, false));
  }

  /**
   * Begins a transaction on a connection of ours, for statements of ours and of others.
   *
   * @throws DatabaseException if there is no connection to be had
   */
  public OwnTransaction begin() {
    Connection connection;
    try {
      connection = dataSource.getConnection();
    } catch (SQLException e) {
      throw translated(e);
    }
    try {
      return new OwnTransaction(connection, isolationDiffers);
    } catch (SQLException e) {
      close(connection);
      throw translated(e);
    }
  }

  /** Transactions of handlers that may be open at the same time, in the whole process. */
  public Semaphore transactionSlots() {
    return transactionSlots;
  }

  /** Whether the pool is large enough to keep one connection for LISTEN, as far as can be told. */
  boolean canSpareConnection() {
    return !(dataSource instanceof HikariDataSource pool)
        || pool.getMaximumPoolSize() >= SMALLEST_POOL_TO_LISTEN;
  }

  /** A connection that the caller keeps and closes: for LISTEN. */
  Connection connect() throws SQLException {
    return dataSource.getConnection();
  }

  /** Whether a text of several statements is not one transaction on this connection. */
  static boolean commitsEachStatement(Connection connection) {
    try {
      return connection.getAutoCommit()
          && connection.isWrapperFor(PGConnection.class)
          && connection.unwrap(PGConnection.class).getPreferQueryMode() == PreferQueryMode.SIMPLE;
    } catch (SQLException e) {
      throw translated(e);
    }
  }

  private <T extends @Nullable Object> T onOwn(boolean autoCommit, Work<T> work) {
    try (Connection connection = dataSource.getConnection()) {
      boolean autoCommitBefore = connection.getAutoCommit();
      int isolationBefore = isolationDiffers ? readCommitted(connection) : 0;
      if (autoCommitBefore != autoCommit) {
        connection.setAutoCommit(autoCommit);
      }
      try {
        T result = work.on(new Session(connection, true));
        if (!autoCommit) {
          connection.commit();
        }
        return result;
      } catch (RuntimeException | SQLException | Error e) {
        if (!autoCommit) {
          rollBack(connection, e);
        }
        throw e;
      } finally {
        restore(connection, autoCommitBefore, isolationBefore);
      }
    } catch (SQLException e) {
      throw translated(e);
    }
  }

  static int readCommitted(Connection connection) throws SQLException {
    int before = connection.getTransactionIsolation();
    if (!connection.getAutoCommit()) {
      connection.rollback();
    }
    connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    return before;
  }

  private static void rollBack(Connection connection, Throwable failure) {
    try {
      connection.rollback();
    } catch (SQLException e) {
      failure.addSuppressed(e);
    }
  }

  /** A connection that cannot be restored is broken; its pool finds that out by itself. */
  static void restore(Connection connection, boolean autoCommit, int isolation) {
    try {
      if (connection.isClosed()) {
        return;
      }
      if (isolation != 0) {
        connection.setAutoCommit(true);
        connection.setTransactionIsolation(isolation);
      }
      if (connection.getAutoCommit() != autoCommit) {
        connection.setAutoCommit(autoCommit);
      }
    } catch (SQLException e) {
      LOG.debug("a connection could not be set back", e);
    }
  }

  /** Of a transaction that is over; a connection that is broken need not be told. */
  static void close(Connection connection) {
    try {
      connection.close();
    } catch (SQLException e) {
      LOG.debug("a connection could not be closed", e);
    }
  }

  static DatabaseException translated(Exception failure) {
    Throwable cause = failure;
    while (cause != null && !(cause instanceof SQLException)) {
      cause = cause.getCause();
    }
    SQLException sql = (SQLException) cause;
    Throwable told = sql == null ? failure : sql;
    return new DatabaseException(
        String.valueOf(told.getMessage()), sql == null ? null : sql.getSQLState(), failure);
  }

  /** Whether the statement answers at least one row; for looking at the catalogue. */
  boolean answers(String sql) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet result = statement.executeQuery(sql)) {
      boolean any = result.next();
      if (!connection.getAutoCommit()) {
        connection.rollback();
      }
      return any;
    } catch (SQLException e) {
      throw translated(e);
    }
  }

  DataSource dataSource() {
    return dataSource;
  }
}
