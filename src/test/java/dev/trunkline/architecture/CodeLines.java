package dev.trunkline.architecture;

import java.util.regex.Pattern;

/** Counts the lines of a Java source that hold more than blanks and comments. */
final class CodeLines {
  /**
   * What may look like a comment but is text, then comments: the first alternative that fits wins.
   */
  private static final Pattern TEXT_OR_COMMENT =
      Pattern.compile(
          "\"\"\"(?:\\\\.|(?!\"\"\").)*+\"\"\"|\"(?:\\\\.|[^\"\\\\\\n])*+\"|'(?:\\\\.|[^'\\\\\\n])*+'"
              + "|(/\\*(?:(?!\\*/).)*+\\*/|//[^\\n]*+)",
          Pattern.DOTALL);

  private CodeLines() {}

  static long in(String source) {
    return TEXT_OR_COMMENT
        .matcher(source)
        .replaceAll(
            found -> found.group(1) == null ? textLines(found.group()) : newLines(found.group()))
        .lines()
        .filter(line -> !line.isBlank())
        .count();
  }

  /** A text block's lines count as code, blank ones apart. */
  private static String textLines(String text) {
    return text.replaceAll("[^\\n\\s]", "x");
  }

  private static String newLines(String comment) {
    return comment.replaceAll("[^\\n]", "");
  }
}
