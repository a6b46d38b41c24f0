package dev.trunkline.benchmark;

import java.time.Duration;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code bench topic}: picks the run, and prints what it found. */
@Command(
    name = "topic",
    description = "Records through a topic: 200 bytes, durable publishes, one JVM.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class TopicCommand implements Callable<Integer> {
  private static final int DEFAULT_SECONDS = 30;
  private static final int DEFAULT_HELD_SECONDS = 60;

  @Option(
      names = "--seconds",
      description = "Measured seconds of each contender (default: 30; with --hold-snapshot 60).")
  private @Nullable Integer seconds;

  @Option(
      names = "--url",
      description = "JDBC URL of a server to use instead of an embedded one; user=... in it.")
  private @Nullable String url;

  @ArgGroup(exclusive = true)
  private Mode mode = new Mode();

  @Option(
      names = "--callers-transaction",
      description = "With --latency: publishes join a transaction of the publisher's.")
  private boolean callersTransaction;

  @Spec private @Nullable CommandSpec spec;

  /** What is measured; by default one group of two, then three groups, and the bare table. */
  private static final class Mode {
    @Option(names = "--hold-snapshot", description = "Again with an old snapshot held open.")
    private boolean holdSnapshot;

    @Option(names = "--latency", description = "From commit to handler, at 500/s.")
    private boolean latency;

    @Option(
        names = "--age",
        description = "What a read costs with 10,000 and with 10,000,000 retained records.")
    private boolean age;
  }

  @Override
  public Integer call() throws Exception {
    if (seconds != null && (seconds < 3 || seconds > 3600)) {
      throw invalid("--seconds must be between 3 and 3600: " + seconds);
    }
    if (callersTransaction && !mode.latency) {
      throw invalid("--callers-transaction needs --latency");
    }
    Report report;
    try (Server server = url == null ? Server.embedded() : Server.at(url)) {
      report = run(server);
      System.out.println(server.describe());
    }
    System.out.println(report.table());
    System.out.println(report.json());
    return 0;
  }

  private Report run(Server server) throws Exception {
    Duration time =
        Duration.ofSeconds(
            seconds != null ? seconds : mode.holdSnapshot ? DEFAULT_HELD_SECONDS : DEFAULT_SECONDS);
    if (mode.latency) {
      return new LatencyRun(server, new TopicLatencyPath(server), time, callersTransaction).run();
    }
    if (mode.age) {
      return new LogAgeRun(server).run();
    }
    LogRun log = new LogRun(server, time);
    return mode.holdSnapshot ? log.runHeld() : log.run();
  }

  private ParameterException invalid(String message) {
    if (spec == null) {
      throw new IllegalStateException(message);
    }
    return new ParameterException(spec.commandLine(), message);
  }
}
