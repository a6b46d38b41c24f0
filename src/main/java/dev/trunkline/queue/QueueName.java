package dev.trunkline.queue;

import static java.util.Objects.requireNonNull;

import java.util.regex.Pattern;

/**
 * A valid name: 1 to 120 characters, ASCII letters, digits, dot, hyphen and underscore, beginning
 * with a letter or digit. Checked here once; everything below works with the queue's id.
 */
record QueueName(String value) {
  private static final Pattern VALID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,119}");

  QueueName {
    requireNonNull(value, "name");
    if (!VALID.matcher(value).matches()) {
      throw new IllegalArgumentException(
          "name must be 1 to 120 letters, digits, dots, hyphens or underscores, beginning with a letter or digit: \"%s\""
              .formatted(value));
    }
  }
}
