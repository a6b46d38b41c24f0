package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;

/** The demo's command line, run in this JVM and into a pipe. */
final class CommandLineRun {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  /** Runs it to its end; answers the exit status. */
  int run(String input, String... arguments) {
    return run(new ByteArrayInputStream(input.getBytes(UTF_8)), arguments);
  }

  int run(InputStream input, String... arguments) {
    PrintStream printed = new PrintStream(out, true, UTF_8);
    Display display = new Display(printed, new PrintStream(err, true, UTF_8), false);
    return DemoCommand.execute(arguments, Map.of(), input, printed, display);
  }

  String out() {
    return out.toString(UTF_8);
  }

  List<String> errors() {
    return err.toString(UTF_8).lines().toList();
  }

  /** The columns of a service's line in the summary. */
  List<String> summaryOf(Service service) {
    return columns(out().lines().toList(), service);
  }

  /** The columns of a service's line in the summary that ends this output. */
  static List<String> columns(List<String> lines, Service service) {
    String line =
        lines.stream()
            .dropWhile(each -> !each.startsWith("Summary"))
            .filter(each -> each.startsWith(service.label() + " "))
            .findFirst()
            .orElseThrow(
                () -> new IllegalStateException("no summary:\n" + String.join("\n", lines)));
    return List.of(line.replace(" / ", "/").split("\\s+"));
  }
}
