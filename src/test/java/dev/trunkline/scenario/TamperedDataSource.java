package dev.trunkline.scenario;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * Real connections with something in between: it counts what is executed, remembers what is called,
 * and can make notifications impossible or lose them. Thread-safe.
 */
final class TamperedDataSource {
  /** What becomes of notifications. */
  enum Notifications {
    ARRIVE,
    /** The connection listens, and never hears. */
    LOST,
    /** The connection does not say that it is PostgreSQL's. */
    IMPOSSIBLE
  }

  private final DataSource real;
  private final Notifications notifications;
  private final AtomicLong executed = new AtomicLong();
  private final Map<String, AtomicLong> executedBy = new ConcurrentHashMap<>();
  private final List<String> calls = new CopyOnWriteArrayList<>();

  TamperedDataSource(DataSource real, Notifications notifications) {
    this.real = real;
    this.notifications = notifications;
  }

  /** Round trips of statements so far. */
  long executed() {
    return executed.get();
  }

  /** The same, of the threads of this name. */
  long executedBy(String thread) {
    return executedBy.getOrDefault(thread, new AtomicLong()).get();
  }

  /** The names of the methods that were called on connections. */
  List<String> calls() {
    return calls;
  }

  DataSource dataSource() {
    return proxy(
        DataSource.class,
        (proxy, method, arguments) -> {
          Object answer = call(real, method, arguments);
          return answer instanceof Connection connection ? tampered(connection) : answer;
        });
  }

  Connection tampered(Connection connection) {
    return proxy(
        Connection.class,
        (proxy, method, arguments) -> {
          calls.add(method.getName());
          boolean aboutListening =
              arguments != null && arguments.length == 1 && arguments[0] == PGConnection.class;
          if (aboutListening && notifications == Notifications.IMPOSSIBLE) {
            if (method.getName().equals("isWrapperFor")) {
              return false;
            }
            throw new SQLException("not a connection of PostgreSQL's driver");
          }
          Object answer = call(connection, method, arguments);
          if (answer instanceof PGConnection postgres
              && aboutListening
              && notifications == Notifications.LOST) {
            return deaf(postgres);
          }
          if (answer instanceof PreparedStatement statement) {
            return counted(PreparedStatement.class, statement);
          }
          return answer instanceof Statement statement
              ? counted(Statement.class, statement)
              : answer;
        });
  }

  private PGConnection deaf(PGConnection connection) {
    return proxy(
        PGConnection.class,
        (proxy, method, arguments) -> {
          Object answer = call(connection, method, arguments);
          return method.getName().equals("getNotifications") ? new PGNotification[0] : answer;
        });
  }

  private <S extends Statement> S counted(Class<S> type, S statement) {
    return proxy(
        type,
        (proxy, method, arguments) -> {
          if (method.getName().startsWith("execute")) {
            executed.incrementAndGet();
            executedBy
                .computeIfAbsent(Thread.currentThread().getName(), name -> new AtomicLong())
                .incrementAndGet();
          }
          return call(statement, method, arguments);
        });
  }

  private static @Nullable Object call(Object target, Method method, Object @Nullable [] arguments)
      throws Throwable {
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  private static <T> T proxy(Class<T> type, InvocationHandler handler) {
    return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
  }
}
