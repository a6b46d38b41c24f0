package dev.trunkline.deadletter;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.jspecify.annotations.Nullable;

/**
 * The exception that a message died of.
 *
 * @param className of the exception
 * @param message of the exception, or null; at most {@link #MAX_MESSAGE_CHARS} characters
 * @param stack the stack trace with causes, at most {@link #MAX_STACK_CHARS} characters
 */
public record DeathError(String className, @Nullable String message, String stack) {
  /** Longer messages are cut. */
  public static final int MAX_MESSAGE_CHARS = 2_000;

  /** Longer stack traces are cut. */
  public static final int MAX_STACK_CHARS = 8_000;

  /** Describes an exception; survives exceptions whose own methods throw. */
  public static DeathError of(Throwable error) {
    String message = null;
    String stack;
    try {
      message = error.getMessage();
      StringWriter text = new StringWriter();
      error.printStackTrace(new PrintWriter(text));
      stack = text.toString();
    } catch (RuntimeException | StackOverflowError e) {
      stack = "no stack trace: " + e.getClass().getName();
    }
    return new DeathError(
        error.getClass().getName(),
        message == null ? null : clean(message, MAX_MESSAGE_CHARS),
        clean(stack, MAX_STACK_CHARS));
  }

  /** Cuts, and leaves out what a PostgreSQL text cannot hold. */
  private static String clean(String text, int maxChars) {
    String storable = text.replace("\0", "\\0");
    if (storable.length() <= maxChars) {
      return storable;
    }
    int end =
        Character.isHighSurrogate(storable.charAt(maxChars - 2)) ? maxChars - 2 : maxChars - 1;
    return storable.substring(0, end) + "…";
  }
}
