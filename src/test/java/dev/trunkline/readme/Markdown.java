package dev.trunkline.readme;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What the checks need of a Markdown page: its fences, its links, and the anchors of its headings.
 */
record Markdown(String text) {
  private static final Pattern FENCE =
      Pattern.compile("^( *)```(\\w*)[^\\n]*\\n(.*?)^\\1```", Pattern.MULTILINE | Pattern.DOTALL);
  private static final Pattern LINK = Pattern.compile("!?\\[[^\\]]*]\\(([^)\\s]+)[^)]*\\)");
  private static final Pattern HEADING = Pattern.compile("^#+ +(.+?) *#*$", Pattern.MULTILINE);

  /** The fences of this language, without their indentation. */
  List<String> fences(String language) {
    return FENCE
        .matcher(text)
        .results()
        .filter(fence -> fence.group(2).equals(language))
        .map(fence -> fence.group(3).stripTrailing().stripIndent())
        .toList();
  }

  /** The targets of its links, those within code apart. */
  List<String> links() {
    String prose = FENCE.matcher(text).replaceAll("").replaceAll("`[^`\\n]*`", "");
    return LINK.matcher(prose).results().map(link -> link.group(1)).toList();
  }

  /** The names under which its headings can be linked to. */
  Set<String> anchors() {
    return HEADING
        .matcher(FENCE.matcher(text).replaceAll(""))
        .results()
        .map(Markdown::anchor)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static String anchor(MatchResult heading) {
    return heading
        .group(1)
        .toLowerCase(Locale.ROOT)
        .replaceAll("[^\\p{L}\\p{N} _-]", "")
        .replace(' ', '-');
  }
}
