package dev.trunkline.benchmark;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The benchmark's command line. The last line of its output is one JSON object. */
@Command(
    name = "bench",
    description = "Measures Trunkline against what PostgreSQL itself can do.",
    mixinStandardHelpOptions = true,
    subcommands = QueueCommand.class)
public final class Main {
  private Main() {}

  /** Runs the benchmark that the arguments ask for. */
  public static void main(String[] arguments) {
    int status = new CommandLine(new Main()).execute(arguments);
    if (status != 0) {
      System.exit(status);
    }
  }
}
