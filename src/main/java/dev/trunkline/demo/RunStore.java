package dev.trunkline.demo;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** The runs of the demo on this database: what each did can be told apart afterwards. */
final class RunStore {
  private RunStore() {}

  /** Adds a run and answers its number. */
  private static final String BEGIN =
      """
      INSERT INTO trunkline_demo.runs (pid)
      VALUES (?)
      RETURNING id
      """;

  /**
   * Earlier runs that never said goodbye, each answered to one later run only. Rows are few: one
   * per run.
   */
  private static final String NOTICE_UNENDED =
      """
      UPDATE trunkline_demo.runs
      SET noticed_by = ?
      WHERE id < ? AND ended_at IS NULL AND noticed_by IS NULL
      RETURNING id, pid
      """;

  /** A run says goodbye. */
  private static final String END =
      """
      UPDATE trunkline_demo.runs
      SET ended_at = clock_timestamp()
      WHERE id = ?
      """;

  /** A run that has not ended: killed, or still at work. */
  record Unended(int id, long pid) {}

  static int begin(Connection connection, long pid) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(BEGIN)) {
      statement.setLong(1, pid);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt("id");
      }
    }
  }

  static List<Unended> noticeUnendedBefore(Connection connection, int run) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(NOTICE_UNENDED)) {
      statement.setInt(1, run);
      statement.setInt(2, run);
      try (ResultSet rows = statement.executeQuery()) {
        List<Unended> unended = new ArrayList<>();
        while (rows.next()) {
          unended.add(new Unended(rows.getInt("id"), rows.getLong("pid")));
        }
        return unended;
      }
    }
  }

  static void end(Connection connection, int run) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(END)) {
      statement.setInt(1, run);
      statement.executeUpdate();
    }
  }
}
