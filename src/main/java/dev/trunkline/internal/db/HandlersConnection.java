package dev.trunkline.internal.db;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/**
 * The connection that a handler is given: it can do everything but end the transaction, and nothing
 * once the handler has returned. Closing it does nothing, since whoever is given a connection may
 * close it out of habit. Thread-safe as far as the connection is.
 */
public final class HandlersConnection implements InvocationHandler {
  private final Connection real;
  private volatile boolean over;

  /** Around a connection in a transaction of ours. */
  public HandlersConnection(Connection real) {
    this.real = real;
  }

  /** What the handler gets. */
  public Connection connection() {
    return (Connection)
        Proxy.newProxyInstance(
            Connection.class.getClassLoader(), new Class<?>[] {Connection.class}, this);
  }

  /** The handler has returned. */
  public void end() {
    over = true;
  }

  @Override
  public @Nullable Object invoke(
      Object proxy, Method method, @Nullable Object @Nullable [] arguments) throws Throwable {
    String name = method.getName();
    boolean noArguments = arguments == null || arguments.length == 0;
    if (name.equals("close")) {
      return null;
    }
    if (name.equals("isClosed") && over) {
      return true;
    }
    if (method.getDeclaringClass() != Object.class) {
      if (over) {
        throw new SQLException("the handler that this connection was given to has returned");
      }
      boolean ends =
          name.equals("commit")
              || name.equals("abort")
              || (name.equals("rollback") && noArguments)
              || (name.equals("setAutoCommit")
                  && arguments != null
                  && Boolean.TRUE.equals(arguments[0]));
      if (ends) {
        throw new SQLException(
            name + " is not for the handler: how it ends decides between commit and rollback");
      }
    } else if (name.equals("equals")) {
      return arguments != null && proxy == arguments[0];
    }
    try {
      return method.invoke(real, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause() == null ? e : e.getCause();
    }
  }
}
