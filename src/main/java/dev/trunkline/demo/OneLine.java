package dev.trunkline.demo;

import java.sql.SQLException;

/** What an exception says, as a person wants to read it: on one line, and where it began. */
final class OneLine {
  private OneLine() {}

  static String of(Throwable error) {
    Throwable teller = error;
    for (Throwable each = error; each != null; each = each.getCause()) {
      // The pool says that it timed out; why, the driver's exception below knows.
      if (each instanceof SQLException) {
        teller = each;
      }
    }
    String text = text(teller);
    Throwable cause = teller.getCause();
    if (cause != null && !text.contains(text(cause))) {
      text = "%s (%s: %s)".formatted(text, cause.getClass().getSimpleName(), text(cause));
    }
    return text.strip().replaceAll("\\s*[\\r\\n]+\\s*", " | ");
  }

  private static String text(Throwable error) {
    String message = error.getMessage();
    return message == null || message.isBlank() ? error.getClass().getSimpleName() : message;
  }
}
