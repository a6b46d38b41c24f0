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

/** {@code bench queue}: picks the run, and prints what it found. */
@Command(
    name = "queue",
    description = "Messages through a queue: 200 bytes, durable sends, one JVM.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class QueueCommand implements Callable<Integer> {
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
      description = "With --latency: sends join a transaction of the sender's.")
  private boolean callersTransaction;

  @Spec private @Nullable CommandSpec spec;

  /** What is measured; by default batches of 20 in, 100 out. */
  private static final class Mode {
    @Option(names = "--hold-snapshot", description = "Again with an old snapshot held open.")
    private boolean holdSnapshot;

    @Option(names = "--single", description = "One message per transaction, four producers.")
    private boolean single;

    @Option(names = "--latency", description = "From commit to handler, at 500/s.")
    private boolean latency;

    @Option(
        names = "--memory",
        description = "A million waiting messages, and 100k in one send, in a heap of 128 MiB.")
    private boolean memory;

    @Option(names = "--at-most-once", description = "At-most-once and at-least-once, in turn.")
    private boolean atMostOnce;

    @Option(
        names = "--hot-key",
        description = "FIFO by key: other keys, with a million of one key waiting and without.")
    private boolean hotKey;

    @Option(names = "--delay", description = "Delayed messages, while a million others wait.")
    private boolean delay;

    @Option(
        names = "--overload",
        description = "Producers ten times as fast as the consumer, on a bounded queue (a minute).")
    private boolean overload;

    @Option(names = "--batch", description = "100k messages in one send, against COPY.")
    private boolean batch;
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
      return new LatencyRun(server, new QueueLatencyPath(server), time, callersTransaction).run();
    }
    if (mode.memory) {
      return new MemoryRun(server).run();
    }
    if (mode.hotKey) {
      return new HotKeyRun(server, time).run();
    }
    if (mode.delay) {
      return new DelayRun(server, time).run();
    }
    if (mode.overload) {
      return new OverloadRun(server, seconds == null ? Duration.ofMinutes(1) : time).run();
    }
    if (mode.batch) {
      return new BatchRun(server).run();
    }
    ThroughputRun throughput =
        new ThroughputRun(server, mode.single ? Workload.SINGLE : Workload.BATCHES, time);
    if (mode.atMostOnce) {
      return throughput.runAtMostOnce();
    }
    return mode.holdSnapshot ? throughput.runHeld() : throughput.run();
  }

  private ParameterException invalid(String message) {
    if (spec == null) {
      throw new IllegalStateException(message);
    }
    return new ParameterException(spec.commandLine(), message);
  }
}
