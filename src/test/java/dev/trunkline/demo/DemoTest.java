package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.support.Awaits;
import dev.trunkline.support.ExpectsErrors;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class DemoTest {
  private static final String WORTHLESS =
      "{\"id\":\"W-1\",\"customer\":\"eve\",\"item\":\"book\",\"quantity\":1,\"amount\":-5}";

  private final TestDatabase database;

  DemoTest(TestDatabase database) {
    this.database = database;
  }

  @BeforeEach
  void forget() {
    database.execute("DROP SCHEMA IF EXISTS trunkline_demo CASCADE");
  }

  @Test
  void every_order_of_a_file_reaches_each_service_and_a_bad_line_stops_nothing() {
    CommandLineRun run = new CommandLineRun();

    int status = run.run(orders(1, 60) + "\nnonsense\n\n" + WORTHLESS, arguments("--orders", "-"));

    assertThat(status).isZero();
    assertThat(run.errors()).singleElement().asString().startsWith("-, line 61: not JSON");
    assertThat(run.out()).contains("ended; orders: 61 committed").contains("1 refused");
    // service, orders, once, twice+, waiting, dead, LOST, retried, redelivered
    assertThat(run.summaryOf(Service.PAYMENT))
        .containsExactly("payment", "61", "60", "0", "0", "1", "0", "0", "0/0");
    assertThat(run.summaryOf(Service.EMAIL))
        .containsExactly("email", "61", "61", "0", "0", "0", "0", "0", "0/0");
    long stuck =
        IntStream.rangeClosed(1, 60).filter(n -> Trouble.sticksAtTheWarehouse("T-" + n, 1)).count();
    assertThat(run.summaryOf(Service.WAREHOUSE))
        .containsExactly("warehouse", "61", "61", "0", "0", "0", "0", "" + stuck, "0/0");
    assertThat(stuck).isPositive();
    assertThat(run.out())
        .contains("dead letters of payment: 1 NON_RETRYABLE (amount must be positive: -5.00)")
        .contains("Nothing is lost")
        .doesNotContain("\u001b");
  }

  @Test
  void the_same_file_again_is_recognised_and_publishes_nothing() {
    new CommandLineRun().run(orders(1, 20), arguments("--orders", "-"));
    CommandLineRun again = new CommandLineRun();

    int status = again.run(orders(1, 21), arguments("--orders", "-"));

    assertThat(status).isZero();
    assertThat(again.out()).contains("orders: 1 committed").contains("20 duplicates");
    assertThat(again.out()).contains("Summary, by SQL: 21 orders committed, 1 of them by this run");
    assertThat(again.summaryOf(Service.ANALYTICS)).startsWith("analytics", "21", "21", "0");
  }

  @Test
  void what_cannot_be_handled_in_time_stays_in_the_topic_and_is_said_to() {
    CommandLineRun run = new CommandLineRun();

    String slow = "--orders - --email-seconds 3 --email-concurrency 1";
    String ending = "--seconds 1 --drain-seconds 0";
    int status = run.run(orders(1, 5), arguments((slow + " " + ending).split(" ")));

    assertThat(status).isZero();
    List<String> email = run.summaryOf(Service.EMAIL);
    int waiting = Integer.parseInt(email.get(4));
    assertThat(waiting).isGreaterThanOrEqualTo(3);
    assertThat(Integer.parseInt(email.get(2)) + waiting).isEqualTo(5);
    assertThat(run.out())
        .contains("email: waiting: %1$d (0 of them being retried)".formatted(waiting));
  }

  @Test
  void a_lost_order_is_said_to_be_lost_and_the_status_is_1() {
    new CommandLineRun().run(orders(1, 3), arguments("--orders", "-"));
    database.execute(
        "DELETE FROM trunkline_demo.effects WHERE service = 'email' AND order_id = 'T-2'");
    CommandLineRun run = new CommandLineRun();

    int status = run.run("", arguments("--orders", "-"));

    assertThat(status).isEqualTo(1);
    assertThat(run.out())
        .contains("LOST: 1 orders never reach email")
        .doesNotContain("Nothing is lost");
  }

  @Test
  void an_order_that_was_paid_twice_is_wrong_and_the_status_is_1() {
    new CommandLineRun().run(orders(1, 3), arguments("--orders", "-"));
    database.execute(
        """
        INSERT INTO trunkline_demo.effects (service, order_id, attempt, run_id)
        VALUES ('payment', 'T-2', 2, 1)
        """);
    CommandLineRun run = new CommandLineRun();

    int status = run.run("", arguments("--orders", "-"));

    assertThat(status).isEqualTo(1);
    assertThat(run.out()).contains("WRONG: payment has charged 1 orders more than once");
  }

  @Test
  void mails_at_a_time_are_shared_out_evenly_among_the_instances() {
    assertThat(DemoOptions.Mail.shares(96, 3)).containsExactly(32, 32, 32);
    assertThat(DemoOptions.Mail.shares(40, 3)).containsExactly(14, 13, 13);
    assertThat(DemoOptions.Mail.shares(1, 3)).containsExactly(1);
  }

  @Test
  void an_effect_without_a_committed_order_is_wrong_and_the_status_is_1() {
    new CommandLineRun().run(orders(1, 3), arguments("--orders", "-"));
    database.execute("DELETE FROM trunkline_demo.orders WHERE id = 'T-2'");
    CommandLineRun run = new CommandLineRun();

    int status = run.run("", arguments("--orders", "-"));

    assertThat(status).isEqualTo(1);
    assertThat(run.out()).contains("WRONG: 5 effects and 1 events belong to no committed order");
  }

  @Test
  @ExpectsErrors
  void while_the_database_is_away_orders_wait_and_then_everything_goes_on() throws Exception {
    CommandLineRun run = new CommandLineRun();
    CompletableFuture<Integer> status;
    try (PipedOutputStream input = new PipedOutputStream()) {
      InputStream read = new PipedInputStream(input, 1 << 16);
      status = CompletableFuture.supplyAsync(() -> run.run(read, arguments("--orders", "-")));
      write(input, orders(1, 100));
      Awaits.until(() -> run.out().contains("running") && effects() > 0);

      allowConnections(false);
      try {
        write(input, orders(101, 200));
        Awaits.until(() -> run.errors().stream().anyMatch(line -> line.startsWith("orders wait")));
      } finally {
        allowConnections(true);
      }
      write(input, orders(201, 300));
    }

    assertThat(status.get()).isZero();
    assertThat(run.errors()).contains("the database is back");
    assertThat(run.summaryOf(Service.PAYMENT)).startsWith("payment", "300", "300", "0", "0");
    assertThat(run.out()).contains("Nothing is lost");
  }

  private static void write(OutputStream input, String orders) throws IOException {
    input.write((orders + "\n").getBytes(UTF_8));
    input.flush();
  }

  private long effects() {
    return database.number("SELECT count(*) FROM trunkline_demo.effects");
  }

  private void allowConnections(boolean allowed) throws Exception {
    try (Connection connection =
            DriverManager.getConnection(
                database.url().replace("/" + database.name(), "/postgres"),
                database.user(),
                database.password());
        Statement statement = connection.createStatement()) {
      statement.execute("ALTER DATABASE " + database.name() + " ALLOW_CONNECTIONS " + allowed);
      if (!allowed) {
        statement.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"
                + database.name()
                + "'");
      }
    }
  }

  private String[] arguments(String... more) {
    List<String> arguments =
        new ArrayList<>(List.of("--url", database.url(), "--user", database.user()));
    arguments.addAll(List.of("--password", database.password()));
    if (!List.of(more).contains("--email-seconds")) {
      arguments.addAll(List.of("--email-seconds", "0.1"));
    }
    arguments.addAll(List.of(more));
    return arguments.toArray(String[]::new);
  }

  private static String orders(int from, int to) {
    return IntStream.rangeClosed(from, to)
        .mapToObj(n -> OrderFormat.EXAMPLE.replace("A-1", "T-" + n))
        .collect(Collectors.joining("\n"));
  }
}
