package dev.trunkline.demo;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.support.Awaits;
import dev.trunkline.support.SecondJvm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoKillTest {

  @Test
  void nothing_committed_is_lost_by_kill_9_and_the_summary_says_what_was_redelivered(
      @TempDir Path directory) throws SQLException, IOException {
    long committed;
    try (SecondJvm first = demo(directory, "--rate", "40", "--email-seconds", "2")) {
      Matcher psql = first.awaitLine("psql -h (\\S+) -p (\\d+) -U (\\S+) (\\S+)");
      committed = awaitMailsAtWork(psql);
      first.kill();
    }

    String none = Files.writeString(directory.resolve("no-orders"), "").toString();
    try (SecondJvm second =
        demo(directory, "--orders", none, "--seconds", "20", "--email-seconds", "0.2")) {
      assertThat(second.awaitExit(Duration.ofSeconds(60))).isZero();
      List<String> lines = second.lines();

      second.awaitLine("run 1 \\(process \\d+\\) never ended");
      second.awaitLine("Nothing is lost");
      for (Service service : Service.values()) {
        // service, orders, once, twice+, waiting, dead, LOST, retried, redelivered
        List<String> columns = CommandLineRun.columns(lines, service);
        long orders = Long.parseLong(columns.get(1));
        assertThat(orders).isGreaterThanOrEqualTo(committed);
        assertThat(
                Long.parseLong(columns.get(2))
                    + Long.parseLong(columns.get(3))
                    + Long.parseLong(columns.get(5)))
            .as("handled or dead at " + service)
            .isEqualTo(orders);
        assertThat(columns.get(4)).as("waiting").isEqualTo("0");
        assertThat(columns.get(6)).as("LOST").isEqualTo("0");
      }
      assertThat(CommandLineRun.columns(lines, Service.PAYMENT).get(3))
          .as("paid twice")
          .isEqualTo("0");
      // Mails were being written when the process died: they came again, by the second run.
      assertThat(CommandLineRun.columns(lines, Service.EMAIL).get(8)).matches("([1-9]\\d*)/\\1");
    }
  }

  /** Waits until mails are being written; answers how many orders were committed by then. */
  private static long awaitMailsAtWork(Matcher psql) throws SQLException {
    String url =
        "jdbc:postgresql://%s:%s/%s?user=%s"
            .formatted(psql.group(1), psql.group(2), psql.group(4), psql.group(3));
    try (Connection connection = DriverManager.getConnection(url);
        Statement statement = connection.createStatement()) {
      Awaits.until(
          () ->
              number(statement, "SELECT count(*) FROM trunkline_demo.effects") > 50
                  && number(
                          statement,
                          """
                          SELECT
                            (SELECT count(*) FROM trunkline_demo.deliveries WHERE service = 'email')
                            - (SELECT count(*) FROM trunkline_demo.effects WHERE service = 'email')
                          """)
                      > 20);
      return number(statement, "SELECT count(*) FROM trunkline_demo.orders");
    }
  }

  private static long number(Statement statement, String sql) throws SQLException {
    try (ResultSet rows = statement.executeQuery(sql)) {
      rows.next();
      return rows.getLong(1);
    }
  }

  private static SecondJvm demo(Path directory, String... more) {
    String[] arguments = new String[more.length + 2];
    arguments[0] = "--data";
    arguments[1] = directory.toString();
    System.arraycopy(more, 0, arguments, 2, more.length);
    return SecondJvm.running(Main.class).arguments(arguments).start();
  }
}
