package dev.trunkline.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class CodeLinesTest {
  @Test
  void blank_lines_and_comments_do_not_count() {
    assertThat(CodeLines.in("a;\n\n// no\n/* no\n no */\n  b; // yes\n")).isEqualTo(2);
  }

  @Test
  void what_looks_like_a_comment_in_a_text_does() {
    assertThat(CodeLines.in("a = \"/*\";\nb = '\"';\nc = \"*/ // \\\" /*\";\n")).isEqualTo(3);
  }

  @Test
  void a_text_block_counts_with_its_lines() {
    assertThat(CodeLines.in("sql = \"\"\"\n-- one\n/* two */\n\n\"three\" \"\"\";\n")).isEqualTo(4);
  }
}
