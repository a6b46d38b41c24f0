package dev.trunkline.migration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.SchemaVersionException;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SchemaVersionTest {
  @TempDir private Path olderScripts;

  @ParameterizedTest
  @EnumSource(
      value = MigrationMode.class,
      names = {"VERIFY", "OFF"})
  void a_missing_schema_is_said_to_be_missing_and_not_made(MigrationMode mode) {
    try (TestDatabase database = TestDatabase.empty()) {
      assertThatThrownBy(() -> open(database, mode))
          .isInstanceOf(SchemaVersionException.class)
          .hasMessageContaining("missing")
          .hasMessageContaining("db/migrations");
      assertThat(database.text("SELECT to_regnamespace('trunkline')")).isNull();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = MigrationMode.class,
      names = {"VERIFY", "OFF"})
  void a_schema_that_is_too_old_is_refused_by_those_who_may_not_upgrade_it(MigrationMode mode)
      throws IOException {
    try (TestDatabase database = withScriptsUpTo(4)) {
      assertThatThrownBy(() -> open(database, mode))
          .isInstanceOf(SchemaVersionException.class)
          .hasMessageContaining("too old")
          .hasMessageContaining("has version 4");
    }
  }

  @Test
  void a_schema_that_is_too_old_is_upgraded_in_mode_migrate() throws IOException {
    try (TestDatabase database = withScriptsUpTo(3)) {
      open(database, MigrationMode.MIGRATE);
      open(database, MigrationMode.VERIFY);
    }
  }

  @ParameterizedTest
  @EnumSource(MigrationMode.class)
  void a_schema_that_asks_for_a_newer_library_is_refused(MigrationMode mode) {
    try (TestDatabase database = TestDatabase.migrated()) {
      database.execute("UPDATE trunkline.schema_version SET version = 99, oldest_client = 99");

      assertThatThrownBy(() -> open(database, mode))
          .isInstanceOf(SchemaVersionException.class)
          .hasMessageContaining("too new")
          .hasMessageContaining("99");
    }
  }

  @ParameterizedTest
  @EnumSource(MigrationMode.class)
  void a_newer_script_in_the_history_that_promised_nothing_is_refused(MigrationMode mode) {
    try (TestDatabase database = TestDatabase.migrated()) {
      addToHistory(database, "99");

      assertThatThrownBy(() -> open(database, mode))
          .isInstanceOf(SchemaVersionException.class)
          .hasMessageContaining("too new");
    }
  }

  @ParameterizedTest
  @EnumSource(MigrationMode.class)
  void a_newer_schema_that_old_code_survives_is_used(MigrationMode mode) {
    try (TestDatabase database = TestDatabase.migrated()) {
      addToHistory(database, "99");
      database.execute("UPDATE trunkline.schema_version SET version = 99");

      open(database, mode);
    }
  }

  @ParameterizedTest
  @EnumSource(MigrationMode.class)
  void a_schema_without_its_version_is_refused(MigrationMode mode) {
    try (TestDatabase database = TestDatabase.migrated()) {
      database.execute("DELETE FROM trunkline.schema_version");

      assertThatThrownBy(() -> open(database, mode)).isInstanceOf(SchemaVersionException.class);
    }
  }

  @Test
  void a_script_that_was_applied_in_another_form_is_found_by_verify() {
    try (TestDatabase database = TestDatabase.migrated()) {
      open(database, MigrationMode.VERIFY);
      database.execute(
          "UPDATE trunkline.schema_history SET checksum = checksum + 1 WHERE version = '002'");

      assertThatThrownBy(() -> open(database, MigrationMode.VERIFY))
          .isInstanceOf(SchemaVersionException.class)
          .hasMessageContaining("002");
      assertThatThrownBy(() -> open(database, MigrationMode.MIGRATE))
          .isInstanceOf(TrunklineException.class)
          .hasMessageContaining("002");
      open(database, MigrationMode.OFF);
    }
  }

  @Test
  void opening_again_changes_nothing() {
    String history =
        "SELECT string_agg(s::text, '; ' ORDER BY installed_rank) FROM trunkline.schema_history s";
    try (TestDatabase database = TestDatabase.migrated()) {
      String before = database.text(history);
      open(database, MigrationMode.MIGRATE);
      assertThat(database.text(history)).isEqualTo(before);
    }
  }

  private static void open(TestDatabase database, MigrationMode mode) {
    Trunkline.open(database.unpooled(), TrunklineConfig.defaults().withMigrationMode(mode)).close();
  }

  /** As an older library made it: the repeatable scripts of that time are not known any more. */
  private TestDatabase withScriptsUpTo(int version) throws IOException {
    try (Stream<Path> scripts = Files.list(Path.of("db", "migrations"))) {
      for (Path script : scripts.toList()) {
        String name = script.getFileName().toString();
        if (name.startsWith("V") && Integer.parseInt(name.substring(1, 4)) <= version) {
          Files.copy(script, olderScripts.resolve(name));
        }
      }
    }
    TestDatabase database = TestDatabase.empty();
    Flyway.configure()
        .dataSource(database.unpooled())
        .schemas("trunkline")
        .defaultSchema("trunkline")
        .table("schema_history")
        .locations("filesystem:" + olderScripts)
        .load()
        .migrate();
    return database;
  }

  private static void addToHistory(TestDatabase database, String version) {
    database.execute(
        """
        INSERT INTO trunkline.schema_history (
          installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
        SELECT max(installed_rank) + 1, '%1$s', 'later', 'SQL', 'V%1$s__later.sql', 1, 'somebody', 1, true
        FROM trunkline.schema_history
        """
            .formatted(version));
  }
}
