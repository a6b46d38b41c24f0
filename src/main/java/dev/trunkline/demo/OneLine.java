package dev.trunkline.demo;

import org.jspecify.annotations.Nullable;

/**
 * What an exception says, as a person wants to read it: on one line, the cause where it has more.
 */
final class OneLine {
  private OneLine() {}

  static String of(Throwable error) {
    String text = text(error);
    Throwable cause = error.getCause();
    // The pool says that it timed out; why, its cause knows.
    if (cause != null && !text.contains(text(cause))) {
      text = text + " (" + text(cause) + ")";
    }
    return text.strip().replaceAll("\\s*[\\r\\n]+\\s*", " | ");
  }

  private static String text(Throwable error) {
    @Nullable String message = error.getMessage();
    return message == null || message.isBlank() ? error.getClass().getSimpleName() : message;
  }
}
