package dev.trunkline.internal.name;

import static java.util.Objects.requireNonNull;

import java.util.regex.Pattern;

/**
 * The rule for names: 1 to 120 characters, ASCII letters, digits, dot, hyphen and underscore,
 * beginning with a letter or digit. Checked where a name comes in; everything below works with ids.
 */
public final class ValidName {
  private static final Pattern VALID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,119}");

  private ValidName() {}

  /**
   * Answers the name.
   *
   * @param argument what the name is called in the message
   * @throws IllegalArgumentException if it breaks the rule
   */
  public static String checked(String argument, String value) {
    requireNonNull(value, argument);
    if (!VALID.matcher(value).matches()) {
      throw new IllegalArgumentException(
          "%s must be 1 to 120 letters, digits, dots, hyphens or underscores, beginning with a letter or digit: \"%s\""
              .formatted(argument, value));
    }
    return value;
  }
}
