package dev.trunkline.migration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.SchemaVersionException;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.postgresql.ds.PGSimpleDataSource;
import org.slf4j.LoggerFactory;

/** This library beside a newer one, whose scripts still let it work. */
class NewerSchemaTest {
  /** An advisory lock that keeps the newer library in the middle of its script. */
  private static final int GATE = 4711;

  private static final String HISTORY =
      "SELECT string_agg(s::text, '; ' ORDER BY installed_rank) FROM trunkline.schema_history s";

  private static final String VIEW_IS_OF =
      "SELECT obj_description('trunkline.queues'::regclass, 'pg_class')";

  @TempDir private Path newerScripts;

  @BeforeEach
  void write_the_scripts_of_a_newer_library() throws IOException {
    try (Stream<Path> scripts = Files.list(Path.of("db", "migrations"))) {
      for (Path script : scripts.toList()) {
        Files.copy(script, newerScripts.resolve(script.getFileName().toString()));
      }
    }
    Files.writeString(
        newerScripts.resolve("V099__later.sql"),
        """
        SELECT pg_advisory_xact_lock(%d);
        UPDATE trunkline.schema_version SET version = 99;
        """
            .formatted(GATE));
    Files.writeString(
        newerScripts.resolve("R__operator_views.sql"),
        "\nCOMMENT ON VIEW trunkline.queues IS 'the newer library';\n",
        StandardOpenOption.APPEND);
    Files.writeString(newerScripts.resolve("R__later.sql"), "SELECT 1;\n");
  }

  @ParameterizedTest
  @EnumSource(MigrationMode.class)
  void an_older_process_works_on_a_newer_schema_and_leaves_it_as_it_is(MigrationMode mode) {
    try (TestDatabase database = TestDatabase.migrated()) {
      migrateNewer(database);
      String before = database.text(HISTORY);

      open(database.unpooled(), mode);

      assertThat(database.text(VIEW_IS_OF)).isEqualTo("the newer library");
      assertThat(database.text(HISTORY)).isEqualTo(before);
    }
  }

  @Test
  void an_older_process_says_that_it_leaves_the_schema_as_it_is_and_does_not_ask_flyway() {
    Logger ours = (Logger) LoggerFactory.getLogger("dev.trunkline.internal.db.Migrations");
    Logger flyways = (Logger) LoggerFactory.getLogger("org.flywaydb");
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    try (TestDatabase database = TestDatabase.migrated()) {
      migrateNewer(database);
      ours.addAppender(log);
      flyways.addAppender(log);
      flyways.setLevel(Level.DEBUG);
      open(database.unpooled(), MigrationMode.MIGRATE);
    } finally {
      flyways.setLevel(null);
      flyways.detachAppender(log);
      ours.detachAppender(log);
    }
    assertThat(log.list)
        .extracting(ILoggingEvent::toString)
        .singleElement()
        .asString()
        .startsWith("[INFO]")
        .contains("version 99", "left as it is");
  }

  @Test
  void an_older_process_that_looked_before_a_newer_one_had_migrated_puts_nothing_back()
      throws Exception {
    ExecutorService executor = Executors.newFixedThreadPool(2);
    try (TestDatabase database = TestDatabase.migrated()) {
      Future<?> newer;
      Future<?> older;
      try (Connection gate = database.connect();
          Statement statement = gate.createStatement()) {
        statement.execute("SELECT pg_advisory_lock(%d)".formatted(GATE));
        newer = executor.submit(() -> migrateNewer(database));
        Awaits.until(() -> runs(database, "%pg_advisory_xact_lock(" + GATE + ")%", ""));
        // It finds the schema as it knows it, and waits for the lock of the one that migrates.
        older = executor.submit(() -> open(named(database, "older"), MigrationMode.MIGRATE));
        Awaits.until(() -> runs(database, "%pg_try_advisory_xact_lock%", "older"));
        assertThat(database.number("SELECT version FROM trunkline.schema_version")).isLessThan(99);
      }
      newer.get();
      String afterNewer = database.text(VIEW_IS_OF);
      older.get();

      assertThat(afterNewer).isEqualTo("the newer library");
      assertThat(database.text(VIEW_IS_OF)).isEqualTo("the newer library");
      assertThat(
              database.number(
                  "SELECT count(*) FROM trunkline.schema_history WHERE script = 'R__operator_views.sql'"))
          .as("once each")
          .isEqualTo(2);
    } finally {
      executor.shutdownNow();
    }
  }

  @Test
  void a_versioned_script_in_another_form_is_found_in_a_newer_schema_too() {
    try (TestDatabase database = TestDatabase.migrated()) {
      migrateNewer(database);
      database.execute(
          "UPDATE trunkline.schema_history SET checksum = checksum + 1 WHERE version = '002'");

      assertThatThrownBy(() -> open(database.unpooled(), MigrationMode.VERIFY))
          .isInstanceOf(SchemaVersionException.class)
          .hasMessageContaining("002")
          .hasMessageNotContaining("operator views");
    }
  }

  @Test
  void a_repeatable_script_in_another_form_is_found_in_a_schema_of_the_same_version() {
    try (TestDatabase database = TestDatabase.migrated()) {
      database.execute(
          "UPDATE trunkline.schema_history SET checksum = checksum + 1 WHERE script = 'R__operator_views.sql'");

      assertThatThrownBy(() -> open(database.unpooled(), MigrationMode.VERIFY))
          .isInstanceOf(SchemaVersionException.class)
          .hasMessageContaining("operator views");
    }
  }

  /** All of it under one hold of Flyway's lock, so that nobody comes in between. */
  private void migrateNewer(TestDatabase database) {
    Flyway.configure()
        .dataSource(database.unpooled())
        .schemas("trunkline")
        .defaultSchema("trunkline")
        .table("schema_history")
        .locations("filesystem:" + newerScripts)
        .group(true)
        .load()
        .migrate();
  }

  private static void open(DataSource dataSource, MigrationMode mode) {
    Trunkline.open(dataSource, TrunklineConfig.defaults().withMigrationMode(mode)).close();
  }

  private static DataSource named(TestDatabase database, String application) {
    PGSimpleDataSource dataSource = (PGSimpleDataSource) database.unpooled();
    dataSource.setApplicationName(application);
    return dataSource;
  }

  /** Whether a connection of this application, or of any, is at such a statement. */
  private static boolean runs(TestDatabase database, String statement, String application) {
    List<List<Object>> found =
        database.rows(
            """
            SELECT pid
            FROM pg_stat_activity
            WHERE datname = current_database()
              AND pid <> pg_backend_pid()
              AND query LIKE ?
              AND ? IN ('', application_name)
            """,
            statement,
            application);
    return !found.isEmpty();
  }
}
