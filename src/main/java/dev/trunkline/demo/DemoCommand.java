package dev.trunkline.demo;

import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command line of the demo. */
@Command(
    name = "trunkline-demo",
    mixinStandardHelpOptions = false,
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "An order service publishes each order to five services, by a topic in one PostgreSQL.",
      "Without options: an embedded PostgreSQL, and generated orders."
    },
    footer = {
      "",
      "An order is one JSON object, in a file one per line:",
      OrderFormat.EXAMPLE,
      "",
      "Exit status: 0 if no committed order is lost, 1 if one is, 2 if the demo cannot run."
    })
final class DemoCommand implements Callable<Integer> {
  private static final String URL_VARIABLE = "TRUNKLINE_URL";
  private static final double MOST_PER_SECOND = 10_000;
  private static final double MOST_SECONDS = 1_000_000;

  private final Map<String, String> environment;
  private final InputStream input;
  private final Display display;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--orders",
      paramLabel = "FILE",
      description = "take orders from a file, one JSON object per line; - is standard input")
  private @Nullable String orders;

  @Option(
      names = "--rate",
      paramLabel = "N",
      description = "generate N orders per second; 10 if no other source is given")
  private @Nullable Double rate;

  @Option(
      names = "--port",
      paramLabel = "N",
      description = "take orders by POST /orders on this loopback port; 0 is any free one")
  private @Nullable Integer port;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      description = "take orders for N seconds, then finish and end")
  private @Nullable Double seconds;

  @Option(
      names = "--drain-seconds",
      paramLabel = "N",
      defaultValue = "15",
      description = "then wait so long for the services to handle what is left (default: 15)")
  private double drainSeconds;

  @Option(
      names = "--url",
      paramLabel = "URL",
      description =
          "use an existing PostgreSQL, jdbc:postgresql://host:port/database; also by "
              + URL_VARIABLE)
  private @Nullable String url;

  @Option(names = "--user", paramLabel = "NAME", description = "user on that PostgreSQL")
  private @Nullable String user;

  @Option(names = "--password", paramLabel = "WORD", description = "password of that user")
  private @Nullable String password;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description = "keep the embedded PostgreSQL's data in this directory")
  private @Nullable Path data;

  @Option(
      names = "--email-seconds",
      paramLabel = "N",
      defaultValue = "3",
      description = "time that one mail takes (default: 3)")
  private double emailSeconds;

  @Option(
      names = "--email-concurrency",
      paramLabel = "N",
      defaultValue = "" + Services.PARTITIONS,
      description =
          "mails at the same time, shared by the instances of the email service (default: "
              + Services.PARTITIONS
              + ", one per partition)")
  private int emailConcurrency;

  @Option(names = "--help", usageHelp = true, description = "show this help")
  private boolean help;

  private DemoCommand(Map<String, String> environment, InputStream input, Display display) {
    this.environment = environment;
    this.input = input;
    this.display = display;
  }

  /** Runs the demo; answers its exit status. */
  static int execute(
      String[] arguments,
      Map<String, String> environment,
      InputStream input,
      PrintStream out,
      Display display) {
    return new CommandLine(new DemoCommand(environment, input, display))
        .setOut(new java.io.PrintWriter(out, true))
        .setParameterExceptionHandler(
            (wrong, given) -> {
              display.note(OneLine.of(wrong) + " (--help lists the options)");
              return Demo.CANNOT;
            })
        .setExecutionExceptionHandler(
            (failure, command, given) -> {
              if (failure instanceof CannotStartException) {
                display.note(String.valueOf(failure.getMessage()));
                return Demo.CANNOT;
              }
              throw failure;
            })
        .execute(arguments);
  }

  @Override
  public Integer call() {
    return new Demo(options(), input, display).run();
  }

  private DemoOptions options() {
    check(
        rate == null || rate > 0 && rate <= MOST_PER_SECOND,
        "--rate must be over 0, at most 10000");
    check(port == null || port >= 0 && port <= 65_535, "--port must be between 0 and 65535");
    check(
        seconds == null || seconds > 0 && seconds <= MOST_SECONDS,
        "--seconds must be over 0, at most 1000000");
    check(emailSeconds >= 0 && emailSeconds <= 3600, "--email-seconds must be between 0 and 3600");
    check(drainSeconds >= 0 && drainSeconds <= 3600, "--drain-seconds must be between 0 and 3600");
    check(
        emailConcurrency >= 1 && emailConcurrency <= Services.PARTITIONS,
        "--email-concurrency must be between 1 and " + Services.PARTITIONS);
    return new DemoOptions(
        server(),
        new DemoOptions.Sources(
            Optional.ofNullable(orders),
            rate == null ? OptionalDouble.empty() : OptionalDouble.of(rate),
            port == null ? OptionalInt.empty() : OptionalInt.of(port)),
        new DemoOptions.Mail(time(emailSeconds), emailConcurrency),
        new DemoOptions.End(
            Optional.ofNullable(seconds).map(DemoCommand::time), time(drainSeconds)));
  }

  /** What the command line says goes before the environment. */
  private DemoOptions.Server server() {
    check(
        url == null || data == null,
        "--data is for the embedded PostgreSQL, --url for another one");
    Optional<String> existing =
        Optional.ofNullable(url)
            .or(
                () ->
                    data == null
                        ? Optional.ofNullable(environment.get(URL_VARIABLE))
                        : Optional.empty())
            .filter(text -> !text.isBlank());
    check(
        existing.isPresent() || user == null && password == null,
        "--user and --password go with --url");
    return new DemoOptions.Server(
        existing,
        Optional.ofNullable(user),
        Optional.ofNullable(password),
        Optional.ofNullable(data));
  }

  private void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new ParameterException(java.util.Objects.requireNonNull(spec).commandLine(), otherwise);
    }
  }

  private static Duration time(double seconds) {
    return Duration.ofNanos((long) (seconds * 1e9));
  }
}
