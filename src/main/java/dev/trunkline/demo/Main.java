package dev.trunkline.demo;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Runs the demo: {@code mvn -q compile exec:java}. */
public final class Main {
  private static final String LOGGING = "logback.configurationFile";

  private Main() {}

  /** Runs it, and ends the virtual machine with its exit status. */
  public static void main(String[] arguments) {
    // Before the first logger is made.
    if (System.getProperty(LOGGING) == null) {
      System.setProperty(LOGGING, "dev/trunkline/demo/logback-demo.xml");
    }
    PrintStream out = System.out;
    PrintStream err = System.err;
    Display display = new Display(out, err, isTerminal());
    if (display.isInPlace()) {
      System.setErr(new PrintStream(new NoticeStream(display), true, StandardCharsets.UTF_8));
    }
    int status = DemoCommand.execute(arguments, System.getenv(), System.in, out, display);
    System.exit(status);
  }

  /**
   * Whether standard output is a terminal that moves its cursor. System.console() does not tell: it
   * wants standard input to be one too.
   */
  private static boolean isTerminal() {
    String type = System.getenv("TERM");
    if (type == null || type.equals("dumb")) {
      return false;
    }
    try {
      Process test =
          new ProcessBuilder("test", "-t", "1")
              .redirectOutput(ProcessBuilder.Redirect.INHERIT)
              .redirectErrorStream(false)
              .start();
      return test.waitFor() == 0;
    } catch (IOException e) {
      return System.console() != null;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
