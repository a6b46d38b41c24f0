package dev.trunkline.support;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A real second JVM on the tests' class path, for what only the death of a process shows.
 *
 * <p>It ends with {@link #close}, when {@link Setup#lifetime} is over, or when this JVM ends, in
 * whatever way. Its standard error goes to this JVM's.
 */
public final class SecondJvm implements AutoCloseable {
  private final Process process;
  private final List<String> lines = new CopyOnWriteArrayList<>();
  private final CompletableFuture<Void> outputRead;

  private SecondJvm(Process process) {
    this.process = process;
    this.outputRead = CompletableFuture.runAsync(this::readOutput, SecondJvm::onDaemonThread);
  }

  /** A JVM that runs this class's {@code main}. */
  public static Setup running(Class<?> mainClass) {
    return new Setup(mainClass);
  }

  public long pid() {
    return process.pid();
  }

  public boolean isAlive() {
    return process.isAlive();
  }

  /** The lines of its standard output so far. */
  public List<String> lines() {
    return Collections.unmodifiableList(lines);
  }

  /** Waits for a line in which this expression is found, past ones included. */
  public Matcher awaitLine(String expression) {
    Pattern pattern = Pattern.compile(expression);
    List<Matcher> found = new ArrayList<>();
    Awaits.await()
        .alias("a line with " + expression)
        .until(
            () -> {
              boolean ended = outputRead.isDone();
              for (String line : lines) {
                Matcher matcher = pattern.matcher(line);
                if (matcher.find()) {
                  found.add(matcher);
                  return true;
                }
              }
              if (ended) {
                throw new IllegalStateException(
                    "the second JVM ended without a line with %s:%n%s"
                        .formatted(expression, String.join("\n", lines)));
              }
              return false;
            });
    return found.get(0);
  }

  /** kill -9, and waits until it is dead. */
  public void kill() {
    process.destroyForcibly();
    awaitExit(Duration.ofSeconds(10));
  }

  /** kill -15: the shutdown hooks run. Does not wait. */
  public void terminate() {
    // Not Process.destroy(): that closes the pipe at whose end the process halts.
    process.toHandle().destroy();
  }

  /** kill -STOP: it stands still, and its connections stay open. */
  public void freeze() {
    signal("-STOP");
  }

  /** kill -CONT. */
  public void thaw() {
    signal("-CONT");
  }

  private void signal(String signal) {
    try {
      Process kill = new ProcessBuilder("kill", signal, String.valueOf(pid())).start();
      if (kill.waitFor() != 0) {
        throw new IllegalStateException("kill " + signal + " failed");
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  /** Waits until it has ended; returns its exit status. */
  public int awaitExit(Duration patience) {
    try {
      if (!process.waitFor(patience.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new IllegalStateException("the second JVM still runs after " + patience);
      }
      outputRead.orTimeout(10, TimeUnit.SECONDS).join();
      return process.exitValue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }

  private void readOutput() {
    try (BufferedReader reader = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        lines.add(line);
      }
    } catch (IOException e) {
      // A killed process's pipe may break instead of ending.
    }
  }

  private static void onDaemonThread(Runnable task) {
    Thread thread = new Thread(task, "second-jvm-output");
    thread.setDaemon(true);
    thread.start();
  }

  /** What the second JVM runs, and within which limits. */
  public static final class Setup {
    private final Class<?> mainClass;
    private final Map<String, String> properties = new TreeMap<>();
    private List<String> arguments = List.of();
    private String maxHeap = "128m";
    private Duration lifetime = Duration.ofMinutes(2);

    private Setup(Class<?> mainClass) {
      this.mainClass = mainClass;
      // A zone of its own, so that a process that trusts the zones to agree fails.
      properties.put("user.timezone", "America/St_Johns");
    }

    public Setup arguments(String... values) {
      arguments = List.of(values);
      return this;
    }

    /** As -Xmx has it; 128m unless told. */
    public Setup maxHeap(String value) {
      maxHeap = value;
      return this;
    }

    public Setup property(String name, String value) {
      properties.put(name, value);
      return this;
    }

    /** After which it ends itself; two minutes unless told. */
    public Setup lifetime(Duration value) {
      lifetime = value;
      return this;
    }

    /** Starts it. */
    public SecondJvm start() {
      List<String> command = new ArrayList<>();
      command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
      command.add("-Xmx" + maxHeap);
      command.add("-XX:TieredStopAtLevel=1");
      command.add("-XX:+UseSerialGC");
      properties.forEach((name, value) -> command.add("-D" + name + "=" + value));
      command.add(Leash.class.getName());
      command.add(lifetime.toString());
      command.add(mainClass.getName());
      command.addAll(arguments);
      ProcessBuilder builder =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
      // Not as an argument: a class path is longer than some systems' command lines.
      builder.environment().put("CLASSPATH", System.getProperty("java.class.path"));
      try {
        return new SecondJvm(builder.start());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** The second JVM's outer main: ends it when the first JVM is gone or the time is over. */
  static final class Leash {
    private Leash() {}

    public static void main(String[] arguments) throws Exception {
      onDaemonThread(Leash::endWithParent);
      Duration lifetime = Duration.parse(arguments[0]);
      CompletableFuture.delayedExecutor(lifetime.toMillis(), TimeUnit.MILLISECONDS)
          .execute(() -> Runtime.getRuntime().halt(124));
      Method main = Class.forName(arguments[1]).getDeclaredMethod("main", String[].class);
      main.setAccessible(true);
      main.invoke(null, (Object) Arrays.copyOfRange(arguments, 2, arguments.length));
    }

    /** This JVM's standard input is a pipe from the first: it ends when that one does. */
    private static void endWithParent() {
      try {
        while (System.in.read() >= 0) {
          // Nothing is ever written to it.
        }
      } catch (IOException e) {
        // The same as its end.
      }
      Runtime.getRuntime().halt(125);
    }
  }
}
