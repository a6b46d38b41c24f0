package dev.trunkline.demo;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** One run of the demo, from the command line's wishes to the summary. Runs once. */
final class Demo {
  /** All promises were kept. */
  static final int GOOD = 0;

  /** A committed order is lost, or it cannot be told. */
  static final int BROKEN_PROMISE = 1;

  /** It could not start, or an input could not be read. */
  static final int CANNOT = 2;

  private static final Duration MOST_TO_STOP = Duration.ofSeconds(60);
  private static final String STANDARD_INPUT = "-";

  private final DemoOptions options;
  private final InputStream input;
  private final Display display;
  private final StopSignal stop = new StopSignal();
  private final StopSignal hurry = new StopSignal();
  private final CountDownLatch ended = new CountDownLatch(1);

  Demo(DemoOptions options, InputStream input, Display display) {
    this.options = options;
    this.input = input;
    this.display = display;
  }

  /**
   * Runs to the end.
   *
   * @return the exit status
   * @throws CannotStartException if it cannot begin
   */
  int run() {
    // What needs no server fails before one is started.
    try (InputStream orders = openOrders()) {
      Optional<OrderEndpoint> endpoint = bind(options.sources().listened());
      try (DemoDatabase database = DemoDatabase.open(options.server())) {
        database.beforeShutdown(this::endNow);
        return run(database, endpoint, new OrderLines(orders));
      } finally {
        endpoint.ifPresent(OrderEndpoint::close);
        ended.countDown();
      }
    } catch (IOException e) {
      throw new CannotStartException(OneLine.of(e), e);
    }
  }

  /** Ends it: running handlers finish, the summary is printed. Returns when that is done. */
  void endNow() {
    hurry.request();
    stop.request();
    try {
      ended.await(MOST_TO_STOP.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** What is left of a run when the services have stopped. */
  private record Finished(int run, long answered, boolean fileBroken) {}

  private int run(DemoDatabase database, Optional<OrderEndpoint> endpoint, OrderLines lines) {
    Finished finished = work(database, endpoint, lines);
    boolean good = summarise(database, finished);
    return !good ? BROKEN_PROMISE : finished.fileBroken() ? CANNOT : GOOD;
  }

  private Finished work(DemoDatabase database, Optional<OrderEndpoint> endpoint, OrderLines lines) {
    Services services = Services.open(database.dataSource());
    try {
      int run = begin(database, endpoint.map(OrderEndpoint::url));
      Intake intake =
          new Intake(
              new OrderService(database.dataSource(), services.topic(), run), stop, display::note);
      Sources sources = new Sources(intake, stop, endpoint);
      LiveTable table = new LiveTable(services, database.dataSource(), intake);
      services.start(database.dataSource(), options.mail(), run);
      options.sources().file().ifPresent(name -> sources.read(name, lines, display::note));
      sources.generate(options.sources().generated(), run);
      sources.listen();
      Watch watch = new Watch(options, display, table, sources, stop, hurry);
      watch.untilTheEnd();
      services.stop();
      watch.lastLook();
      return new Finished(run, intake.accepted(), sources.isFileBroken());
    } finally {
      services.stop();
    }
  }

  private int begin(DemoDatabase database, Optional<String> endpoint) {
    try (Connection connection = database.dataSource().getConnection()) {
      DemoSchemaStore.create(connection);
      connection.setAutoCommit(true);
      int run = RunStore.begin(connection, ProcessHandle.current().pid());
      List<RunStore.Unended> unended = RunStore.noticeUnendedBefore(connection, run);
      display.print(new Header(options, database, endpoint, run, unended).lines());
      return run;
    } catch (SQLException e) {
      throw new CannotStartException("the demo's tables cannot be made: " + OneLine.of(e), e);
    }
  }

  private boolean summarise(DemoDatabase database, Finished finished) {
    try (Connection connection = database.dataSource().getConnection()) {
      Reckoning reckoning = SummaryStore.reckon(connection, finished.run());
      connection.setAutoCommit(true);
      RunStore.end(connection, finished.run());
      Summary summary = new Summary(reckoning, finished.answered(), database.isTemporary());
      display.print(summary.lines());
      return summary.isGood();
    } catch (SQLException e) {
      display.note("no summary, the database does not answer: " + OneLine.of(e));
      return false;
    }
  }

  private InputStream openOrders() throws IOException {
    if (options.sources().file().isEmpty()) {
      return InputStream.nullInputStream();
    }
    String name = options.sources().file().get();
    if (name.equals(STANDARD_INPUT)) {
      return input;
    }
    Path file = Path.of(name);
    if (!Files.isReadable(file) || Files.isDirectory(file)) {
      throw new CannotStartException("the orders cannot be read from " + name, null);
    }
    return Files.newInputStream(file);
  }

  private static Optional<OrderEndpoint> bind(OptionalInt port) {
    return port.isPresent() ? Optional.of(OrderEndpoint.bind(port.getAsInt())) : Optional.empty();
  }
}
