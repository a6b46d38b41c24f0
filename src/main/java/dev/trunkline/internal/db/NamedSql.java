package dev.trunkline.internal.db;

import java.sql.Connection;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.jdbi.v3.core.ConnectionFactory;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.Jdbi;
import org.jdbi.v3.core.statement.ColonPrefixSqlParser;
import org.jdbi.v3.core.statement.ParsedSql;

/**
 * A text with named parameters as the driver takes it: with question marks. Parsed by Jdbi, once.
 *
 * @param sql with a question mark for each parameter
 * @param names of the parameters, in the order of the question marks
 */
record NamedSql(String sql, List<String> names) {
  /** Texts that name a chunk of a topic come and go; all others are some hundred. */
  private static final int MAX_REMEMBERED = 2_000;

  private static final ColonPrefixSqlParser PARSER = new ColonPrefixSqlParser();

  private static final ConcurrentMap<String, NamedSql> REMEMBERED = new ConcurrentHashMap<>();

  static NamedSql of(String text, Connection connection) {
    NamedSql known = REMEMBERED.get(text);
    if (known != null) {
      return known;
    }
    if (REMEMBERED.size() >= MAX_REMEMBERED) {
      REMEMBERED.clear();
    }
    NamedSql parsed = parsed(text, connection);
    REMEMBERED.put(text, parsed);
    return parsed;
  }

  private static NamedSql parsed(String text, Connection connection) {
    try (Handle handle = Jdbi.open(new Borrowed(connection))) {
      ParsedSql parsed = PARSER.parse(text, handle.createQuery(text).getContext());
      return new NamedSql(parsed.getSql(), List.copyOf(parsed.getParameters().getParameterNames()));
    }
  }

  /** A connection that somebody else closes. */
  private record Borrowed(Connection connection) implements ConnectionFactory {
    @Override
    public Connection openConnection() {
      return connection;
    }

    @Override
    public void closeConnection(Connection closed) {
      // Whoever opened it closes it.
    }
  }
}
