package dev.trunkline.migration;

import dev.trunkline.Trunkline;
import dev.trunkline.support.OwnServer;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/**
 * A topic as pg_dump writes it: the rows of all tables as one snapshot sees them, and the sequences
 * as they are.
 */
final class DumpedTopic {
  private static final List<String> TABLES =
      List.of("topic_partition", "chunk", "record", "segment", "sequencing");

  private final Map<String, String> rows = new LinkedHashMap<>();
  private final Map<String, String> sequences = new LinkedHashMap<>();
  private final int id;
  private final int chunks;
  private final String declaration;

  private DumpedTopic(Connection connection, String name) throws SQLException, IOException {
    CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
    String columns = columns(connection);
    id =
        Integer.parseInt(
            value(
                connection,
                "SELECT id FROM trunkline.topic WHERE deleted_at IS NULL AND name = '%s'"
                    .formatted(name)));
    declaration =
        copied(copies, "SELECT %s FROM trunkline.topic WHERE id = %d".formatted(columns, id));
    for (String table : TABLES) {
      rows.put(
          table,
          copied(copies, "SELECT * FROM trunkline.%s WHERE topic_id = %d".formatted(table, id)));
    }
    chunks = rows.get("chunk").split("\n").length;
    for (String sequence :
        List.of("record_%d_id_seq".formatted(id), "sequencing_id_seq", "topic_id_seq")) {
      sequences.put(
          sequence,
          value(
              connection,
              "SELECT format('%%s, %%L', last_value, is_called) FROM trunkline.%s"
                  .formatted(sequence)));
    }
  }

  /** Dumps it. */
  static DumpedTopic of(TestDatabase database, String name) throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      return new DumpedTopic(connection, name);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Restores it into a new database of a server. */
  void restoreInto(OwnServer server, String database) throws SQLException {
    server.run("postgres", "CREATE DATABASE " + database);
    Trunkline.open(server.url(database), "postgres", "").close();
    try (Connection connection = server.connect(database)) {
      CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
      copyInto(copies, "topic (%s)".formatted(columns(connection)), declaration);
      execute(connection, "SELECT trunkline.create_topic_storage(%d)".formatted(id));
      for (int chunk = 2; chunk < chunks; chunk++) {
        execute(connection, "SELECT trunkline.add_chunk(%d)".formatted(id));
      }
      for (String table : TABLES) {
        execute(connection, "DELETE FROM trunkline.%s WHERE topic_id = %d".formatted(table, id));
        copyInto(copies, table, rows.get(table));
      }
      for (Map.Entry<String, String> sequence : sequences.entrySet()) {
        execute(
            connection,
            "SELECT setval('trunkline.%s', %s)".formatted(sequence.getKey(), sequence.getValue()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All but what names the sequence by a number of the cluster it is in. */
  private static String columns(Connection connection) throws SQLException {
    return value(
        connection,
        """
        SELECT string_agg(column_name, ', ' ORDER BY ordinal_position)
        FROM information_schema.columns
        WHERE table_schema = 'trunkline' AND table_name = 'topic' AND column_name <> 'id_sequence'
        """);
  }

  private static String copied(CopyManager copies, String query) throws SQLException, IOException {
    StringWriter text = new StringWriter();
    copies.copyOut("COPY (%s) TO STDOUT".formatted(query), text);
    return text.toString();
  }

  private static void copyInto(CopyManager copies, String table, String text)
      throws SQLException, IOException {
    copies.copyIn("COPY trunkline.%s FROM STDIN".formatted(table), new StringReader(text));
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static String value(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getString(1);
    }
  }
}
