package dev.trunkline.migration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.message.Message;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.postgresql.ds.PGSimpleDataSource;

class FirstStartTest {
  private static final String SCRIPTS_IN_HISTORY =
      """
      SELECT string_agg(script, ' ' ORDER BY installed_rank)
      FROM trunkline.schema_history
      WHERE type = 'SQL' AND success
      """;

  @Test
  void several_that_open_an_empty_database_at_once_all_work() throws Exception {
    ExecutorService executor = Executors.newFixedThreadPool(4);
    try (TestDatabase database = TestDatabase.empty()) {
      CountDownLatch start = new CountDownLatch(1);
      List<Future<Boolean>> opened = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        opened.add(
            executor.submit(
                () -> {
                  start.await();
                  return oneMessageThrough(database.unpooled(), MigrationMode.MIGRATE);
                }));
      }
      start.countDown();
      for (Future<Boolean> each : opened) {
        assertThat(each.get()).isTrue();
      }
      assertThat(database.text(SCRIPTS_IN_HISTORY)).isEqualTo(String.join(" ", scripts()));
    } finally {
      executor.shutdownNow();
    }
  }

  /** Opens in a mode, and takes one message through. */
  static final class Opening {
    private Opening() {}

    public static void main(String[] arguments) {
      PGSimpleDataSource dataSource = new PGSimpleDataSource();
      dataSource.setUrl(arguments[0]);
      dataSource.setUser(arguments[1]);
      dataSource.setPassword(arguments[2]);
      System.out.println("flyway " + flyway());
      try {
        System.out.println(
            "works " + oneMessageThrough(dataSource, MigrationMode.valueOf(arguments[3])));
      } catch (TrunklineException e) {
        System.out.println(e.getClass().getSimpleName() + ": " + e.getMessage());
      }
    }

    private static String flyway() {
      try {
        Class<?> type = Class.forName("org.flywaydb.core.Flyway");
        return new File(type.getProtectionDomain().getCodeSource().getLocation().getPath())
            .getName();
      } catch (ClassNotFoundException e) {
        return "none";
      }
    }
  }

  @Test
  void two_processes_that_open_an_empty_database_at_once_both_work() {
    try (TestDatabase database = TestDatabase.empty();
        SecondJvm one = opening(database, MigrationMode.MIGRATE, ourClassPath());
        SecondJvm two = opening(database, MigrationMode.MIGRATE, ourClassPath())) {
      one.awaitLine("works true");
      two.awaitLine("works true");
      assertThat(database.text(SCRIPTS_IN_HISTORY)).isEqualTo(String.join(" ", scripts()));
    }
  }

  @Test
  void flyway_10_of_the_host_application_makes_the_schema_and_ours_finds_nothing_to_do()
      throws IOException {
    List<String> classPath = new ArrayList<>(withoutFlyway());
    try (Stream<Path> jars = Files.list(Path.of("target", "flyway10"))) {
      jars.forEach(jar -> classPath.add(jar.toString()));
    }
    try (TestDatabase database = TestDatabase.empty();
        SecondJvm host = opening(database, MigrationMode.MIGRATE, classPath)) {
      host.awaitLine("flyway flyway-core-10\\.");
      host.awaitLine("works true");
      assertThat(host.awaitExit(Duration.ofSeconds(20))).isZero();
      try (SecondJvm verifying = opening(database, MigrationMode.VERIFY, classPath)) {
        verifying.awaitLine("works true");
      }
      assertThat(oneMessageThrough(database.unpooled(), MigrationMode.VERIFY)).isTrue();
      assertThat(oneMessageThrough(database.unpooled(), MigrationMode.MIGRATE)).isTrue();
    }
  }

  @Test
  void without_flyway_the_scripts_are_run_by_hand_and_mode_off_works() {
    try (TestDatabase database = TestDatabase.empty()) {
      runByHand(database);
      try (SecondJvm bare = opening(database, MigrationMode.OFF, withoutFlyway())) {
        bare.awaitLine("flyway none");
        bare.awaitLine("works true");
        assertThat(bare.awaitExit(Duration.ofSeconds(20))).isZero();
      }
    }
  }

  @Test
  void without_flyway_the_other_modes_say_what_is_missing() {
    try (TestDatabase database = TestDatabase.migrated();
        SecondJvm migrating = opening(database, MigrationMode.MIGRATE, withoutFlyway());
        SecondJvm verifying = opening(database, MigrationMode.VERIFY, withoutFlyway())) {
      migrating.awaitLine("SchemaVersionException: .*Flyway is not on the class path.*OFF");
      verifying.awaitLine("SchemaVersionException: .*Flyway is not on the class path.*OFF");
    }
  }

  @Test
  void other_tables_and_another_flyway_history_in_the_database_are_left_alone() {
    String all =
        """
        SELECT string_agg(t, ' ') FROM (
          SELECT 'history ' || h::text AS t FROM public.flyway_schema_history h
          UNION ALL SELECT 'queue ' || q::text FROM public.queue q
          UNION ALL SELECT 'message ' || m::text FROM public.message m
          UNION ALL SELECT 'table ' || tablename FROM pg_tables WHERE schemaname = 'public'
          UNION ALL SELECT 'view ' || viewname FROM pg_views WHERE schemaname = 'public'
          UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname <> 'trunkline'
          ORDER BY 1) x
        """;
    try (TestDatabase database = TestDatabase.empty()) {
      database.execute(
          """
          CREATE TABLE public.flyway_schema_history (
            installed_rank integer PRIMARY KEY, version text, description text, type text, script text,
            checksum integer, installed_by text, installed_on timestamp DEFAULT now(),
            execution_time integer, success boolean);
          INSERT INTO public.flyway_schema_history
          VALUES (1, '1', 'host', 'SQL', 'V1__host.sql', 7, 'host', now(), 1, true);
          CREATE TABLE public.queue (name text);
          CREATE TABLE public.message (id int);
          INSERT INTO public.queue VALUES ('mine');
          INSERT INTO public.message VALUES (1);
          """);
      String before = database.text(all);

      assertThat(oneMessageThrough(database.unpooled(), MigrationMode.MIGRATE)).isTrue();
      assertThat(oneMessageThrough(database.unpooled(), MigrationMode.VERIFY)).isTrue();

      assertThat(database.text(all)).isEqualTo(before);
    }
  }

  @Test
  void a_role_that_may_not_create_a_schema_is_told_so() {
    try (TestDatabase database = TestDatabase.empty();
        Role role = new Role(database)) {
      assertThatThrownBy(() -> oneMessageThrough(role.dataSource(), MigrationMode.MIGRATE))
          .isInstanceOf(DatabaseException.class)
          .hasMessageContaining("permission denied")
          .hasMessageContaining("CREATE")
          .satisfies(e -> assertThat(((DatabaseException) e).sqlState()).contains("42501"));
    }
  }

  @Test
  void a_role_other_than_the_owner_works_with_these_grants() {
    try (TestDatabase database = TestDatabase.migrated();
        Role role = new Role(database)) {
      database.execute(
          """
          GRANT USAGE ON SCHEMA trunkline TO %1$s;
          GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA trunkline TO %1$s;
          GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA trunkline TO %1$s;
          REVOKE INSERT, UPDATE, DELETE ON trunkline.schema_version, trunkline.schema_history FROM %1$s;
          """
              .formatted(role.name()));

      for (MigrationMode mode : MigrationMode.values()) {
        assertThat(oneMessageThrough(role.dataSource(), mode)).isTrue();
      }
    }
  }

  /** A role that may connect, and nothing else. */
  private record Role(TestDatabase database, String name) implements AutoCloseable {
    Role(TestDatabase database) {
      this(database, database.name().replace("trunkline_test", "role"));
      database.execute("CREATE ROLE " + name + " LOGIN PASSWORD 'secret'");
    }

    PGSimpleDataSource dataSource() {
      PGSimpleDataSource dataSource = new PGSimpleDataSource();
      dataSource.setUrl(database.url());
      dataSource.setUser(name);
      dataSource.setPassword("secret");
      return dataSource;
    }

    @Override
    public void close() {
      database.execute("DROP OWNED BY %1$s; DROP ROLE %1$s".formatted(name));
    }
  }

  /** Whether everything that an application does can be done. */
  private static boolean oneMessageThrough(DataSource dataSource, MigrationMode mode) {
    HikariConfig pooled = new HikariConfig();
    pooled.setDataSource(dataSource);
    pooled.setMaximumPoolSize(5);
    pooled.setMinimumIdle(0);
    try (HikariDataSource pool = new HikariDataSource(pooled);
        Trunkline trunkline =
            Trunkline.open(pool, TrunklineConfig.defaults().withMigrationMode(mode))) {
      QueueConfig config =
          QueueConfig.defaults()
              .withRetryPolicy(RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO));
      String name = "through-" + ProcessHandle.current().pid() + "-" + System.nanoTime();
      Queue queue = trunkline.queue(name, config);
      queue.send(Message.text("retried"));
      queue.send(Message.text("later").withDelay(Duration.ofHours(1)));
      one(queue).retry();
      one(queue).deadLetter("to be replayed");
      int replayed = queue.deadLetters().replayAll();
      one(queue).extend(Duration.ofMinutes(1));
      queue.pause();
      queue.resume();
      long purged = queue.purge();
      trunkline.alterQueue(name, QueueConfig.defaults());
      queue.delete();
      return replayed == 1 && purged == 2;
    }
  }

  private static Delivery one(Queue queue) {
    return queue.receive(1).get(0);
  }

  /** As psql -f does it. */
  private static void runByHand(TestDatabase database) {
    for (String script : scripts()) {
      try {
        database.execute(Files.readString(Path.of("db", "migrations", script)));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** The versioned ones in order, then the repeatable ones. */
  private static List<String> scripts() {
    try (Stream<Path> files = Files.list(Path.of("db", "migrations"))) {
      List<String> names =
          new ArrayList<>(files.map(file -> file.getFileName().toString()).sorted().toList());
      List<String> repeatable = names.stream().filter(name -> name.startsWith("R__")).toList();
      names.removeAll(repeatable);
      names.addAll(repeatable);
      return names;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<String> ourClassPath() {
    return Arrays.asList(System.getProperty("java.class.path").split(File.pathSeparator));
  }

  private static List<String> withoutFlyway() {
    return ourClassPath().stream().filter(entry -> !entry.contains("flyway")).toList();
  }

  private static SecondJvm opening(
      TestDatabase database, MigrationMode mode, List<String> classPath) {
    return SecondJvm.running(Opening.class)
        .arguments(database.url(), database.user(), database.password(), mode.name())
        // Wins over the class path that the second JVM gets otherwise.
        .property("java.class.path", String.join(File.pathSeparator, classPath))
        .start();
  }
}
