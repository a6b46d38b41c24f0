package dev.trunkline.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoServerTest {

  /**
   * Commits a row on a kept server, says so, and waits to be killed in the middle of a statement.
   */
  static final class Owner {
    private Owner() {}

    public static void main(String[] arguments) throws SQLException, InterruptedException {
      DemoServer server = DemoServer.keptIn(Path.of(arguments[0]));
      try (Connection connection = DriverManager.getConnection(server.url());
          Statement statement = connection.createStatement()) {
        statement.execute("CREATE TABLE IF NOT EXISTS kept (id int)");
        statement.execute("INSERT INTO kept VALUES (1)");
        System.out.println("committed on port " + server.port());
        if (arguments.length > 1) {
          statement.execute("SELECT count(*) FROM generate_series(1, 1000000000000)");
        }
        new CountDownLatch(1).await();
      }
    }
  }

  @Test
  void a_temporary_server_is_durable_and_gone_when_closed() throws SQLException {
    DemoServer server = DemoServer.temporary();
    Path data;
    try (server) {
      assertThat(text(server, "SHOW fsync")).isEqualTo("on");
      assertThat(text(server, "SHOW synchronous_commit")).isEqualTo("on");
      assertThat(text(server, "SHOW full_page_writes")).isEqualTo("on");
      data = Path.of(text(server, "SHOW data_directory"));
    }
    server.close();

    assertThat(data).doesNotExist();
    assertThatThrownBy(() -> DriverManager.getConnection(server.url()))
        .isInstanceOf(SQLException.class);
  }

  @Test
  void what_was_committed_survives_a_clean_end(@TempDir Path directory) throws SQLException {
    try (DemoServer server = DemoServer.keptIn(directory)) {
      text(server, "CREATE TABLE kept AS SELECT 42 AS answer");
    }
    try (DemoServer server = DemoServer.keptIn(directory)) {
      assertThat(text(server, "SELECT answer FROM kept")).isEqualTo("42");
    }
  }

  @Test
  void what_was_committed_survives_kill_9_of_the_jvm(@TempDir Path directory)
      throws SQLException, IOException {
    for (int kills = 1; kills <= 2; kills++) {
      long orphan;
      try (SecondJvm owner =
          SecondJvm.running(Owner.class).arguments(directory.toString(), "busy").start()) {
        owner.awaitLine("committed on port");
        owner.kill();
        orphan = postmaster(directory);
      }
      assertThat(ProcessHandle.of(orphan)).as("the server outlives the JVM").isPresent();
    }
    try (DemoServer server = DemoServer.keptIn(directory)) {
      assertThat(text(server, "SELECT count(*) FROM kept")).isEqualTo("2");
      assertThat(text(server, "SHOW fsync")).isEqualTo("on");
    }
  }

  @Test
  void what_was_committed_survives_kill_9_of_jvm_and_server(@TempDir Path directory)
      throws SQLException, IOException {
    try (SecondJvm owner = SecondJvm.running(Owner.class).arguments(directory.toString()).start()) {
      owner.awaitLine("committed on port");
      ProcessHandle postmaster = ProcessHandle.of(postmaster(directory)).orElseThrow();
      List<ProcessHandle> all = new ArrayList<>(postmaster.descendants().toList());
      all.add(0, postmaster);
      all.forEach(ProcessHandle::destroyForcibly);
      owner.kill();
    }
    try (DemoServer server = DemoServer.keptIn(directory)) {
      assertThat(text(server, "SELECT count(*) FROM kept")).isEqualTo("1");
    }
  }

  @Test
  void the_directory_of_a_live_process_is_refused(@TempDir Path directory) {
    try (SecondJvm owner = SecondJvm.running(Owner.class).arguments(directory.toString()).start()) {
      owner.awaitLine("committed on port");

      assertThatThrownBy(() -> DemoServer.keptIn(directory))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("another process uses");

      owner.terminate();
      assertThat(owner.awaitExit(Duration.ofSeconds(20))).isEqualTo(128 + 15);
      assertThat(directory.resolve("postgres/postmaster.pid"))
          .as("the server went with the JVM")
          .doesNotExist();
    }
  }

  @Test
  void a_process_that_took_over_the_number_of_a_dead_server_is_left_alone(@TempDir Path directory)
      throws SQLException, IOException {
    DemoServer.keptIn(directory).close();
    Files.writeString(
        directory.resolve("postgres/postmaster.pid"),
        "%d\n%s\n%d\n5432\n".formatted(ProcessHandle.current().pid(), directory, 0));

    try (DemoServer server = DemoServer.keptIn(directory)) {
      assertThat(text(server, "SELECT 1")).isEqualTo("1");
    }
  }

  @Test
  void data_whose_making_was_cut_short_is_made_again(@TempDir Path directory)
      throws SQLException, IOException {
    Files.createDirectories(directory.resolve("postgres"));
    Files.writeString(directory.resolve("postgres/PG_VERSION"), "18");
    Files.writeString(directory.resolve("incomplete"), "");

    try (DemoServer server = DemoServer.keptIn(directory)) {
      assertThat(text(server, "SELECT 1")).isEqualTo("1");
    }
  }

  @Test
  void other_data_is_never_touched(@TempDir Path directory) throws IOException {
    Path other = Files.createDirectories(directory.resolve("postgres")).resolve("thesis.txt");
    Files.writeString(other, "mine");

    assertThatThrownBy(() -> DemoServer.keptIn(directory))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("something else");
    assertThat(other).hasContent("mine");
  }

  private static long postmaster(Path directory) throws IOException {
    return Long.parseLong(
        Files.readAllLines(directory.resolve("postgres/postmaster.pid")).get(0).strip());
  }

  private static String text(DemoServer server, String sql) throws SQLException {
    try (Connection connection = server.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      if (!statement.execute(sql)) {
        return "";
      }
      try (ResultSet rows = statement.getResultSet()) {
        rows.next();
        return rows.getString(1);
      }
    }
  }
}
