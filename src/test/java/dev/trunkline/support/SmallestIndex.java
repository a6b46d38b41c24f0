package dev.trunkline.support;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * Makes one index after the other look the cheapest: it is new and holds nothing, while those
 * beside it have become a level higher. For a planner that expects to find next to nothing, that
 * difference is all there is to decide by, and the plan that it makes is kept when there is much.
 */
public final class SmallestIndex {
  private SmallestIndex() {}

  /** What is to hold, whichever index it is. */
  @FunctionalInterface
  public interface Check {
    /** Plans anew, and asserts. */
    void when(String state) throws SQLException;
  }

  /**
   * Goes through all indexes of these tables, or of the partitions of those that have some; a table
   * with one index leaves no choice.
   *
   * @param growAndEmpty puts some thousand rows into the tables, and deletes them
   */
  public static void each(
      TestDatabase database, List<String> tables, Runnable growAndEmpty, Check check)
      throws SQLException {
    for (String index : indexes(database, tables)) {
      growAndEmpty.run();
      // What ANALYZE has found, which a TRUNCATE leaves.
      database.execute(
          "DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'trunkline'::regnamespace)");
      database.execute("REINDEX INDEX trunkline." + index);
      check.when(index + " is the smallest");
    }
  }

  private static List<String> indexes(TestDatabase database, List<String> tables)
      throws SQLException {
    String sql =
        """
        WITH RECURSIVE part AS (
          SELECT ('trunkline.' || name)::regclass::oid AS id
          FROM unnest(?::text[]) AS name
          UNION ALL
          SELECT i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = part.id
        )
        SELECT c.relname
        FROM part
        JOIN pg_index i ON i.indrelid = part.id
        JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
        WHERE EXISTS (SELECT 1 FROM pg_index o WHERE o.indrelid = part.id AND o.indexrelid <> i.indexrelid)
        ORDER BY 1
        """;
    List<String> names = new ArrayList<>();
    try (Connection connection = database.connect();
        PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setArray(1, connection.createArrayOf("text", tables.toArray()));
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          names.add(rows.getString(1));
        }
      }
    }
    return names;
  }
}
