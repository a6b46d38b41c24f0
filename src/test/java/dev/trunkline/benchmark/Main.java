package dev.trunkline.benchmark;

import java.io.File;
import java.net.URI;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The benchmark's command line. The last line of its output is one JSON object. */
@Command(
    name = "bench",
    description = "Measures Trunkline against what PostgreSQL itself can do.",
    mixinStandardHelpOptions = true,
    subcommands = {QueueCommand.class, TopicCommand.class})
public final class Main {
  private Main() {}

  /** Runs the benchmark that the arguments ask for. */
  public static void main(String[] arguments) {
    tellClassPath();
    int status = new CommandLine(new Main()).execute(arguments);
    if (status != 0) {
      System.exit(status);
    }
  }

  /** Inside Maven's JVM the class path is Maven's, but a second JVM needs this program's. */
  private static void tellClassPath() {
    if (Main.class.getClassLoader() instanceof URLClassLoader loader) {
      System.setProperty(
          "java.class.path",
          Arrays.stream(loader.getURLs())
              .map(url -> Path.of(URI.create(url.toString())).toString())
              .collect(Collectors.joining(File.pathSeparator)));
    }
  }
}
