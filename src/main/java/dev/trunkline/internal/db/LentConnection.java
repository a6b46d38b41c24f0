package dev.trunkline.internal.db;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A connection in a transaction of ours, lent to a user's code: it can do all but end the
 * transaction, and nothing once it has been taken back.
 */
public final class LentConnection {
  private static final Set<String> NOT_YOURS =
      Set.of("commit", "close", "abort", "setAutoCommit", "setTransactionIsolation", "setReadOnly");

  private final Connection connection;
  private volatile boolean over;

  LentConnection(Connection own) {
    InvocationHandler handler = (proxy, method, arguments) -> call(own, method, arguments);
    this.connection =
        (Connection)
            Proxy.newProxyInstance(
                LentConnection.class.getClassLoader(), new Class<?>[] {Connection.class}, handler);
  }

  /** What the user's code gets. */
  public Connection connection() {
    return connection;
  }

  /** From now on every call is refused. */
  public void takeBack() {
    over = true;
  }

  private @Nullable Object call(
      Connection own, Method method, @Nullable Object @Nullable [] arguments) throws Throwable {
    String name = method.getName();
    if (name.equals("isClosed") && over) {
      return true;
    }
    if (over && method.getDeclaringClass() != Object.class) {
      throw new SQLException("the transaction that this connection was lent for is over", "08003");
    }
    boolean rollsAllBack = name.equals("rollback") && arguments == null;
    if (NOT_YOURS.contains(name) || rollsAllBack) {
      throw new SQLException(
          name + " is not the handler's: the transaction ends when it has returned", "2D000");
    }
    try {
      return method.invoke(own, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause() == null ? e : e.getCause();
    }
  }
}
