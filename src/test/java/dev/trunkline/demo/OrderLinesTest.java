package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class OrderLinesTest {

  @Test
  void lines_are_numbered_as_an_editor_numbers_them_and_blank_ones_are_left_out()
      throws IOException {
    assertThat(numbered("\ufeffa\n\n \t\r\nb\r\nc")).containsExactly("1:a", "4:b\r", "5:c");
  }

  @Test
  void nothing_has_no_lines() throws IOException {
    assertThat(numbered("")).isEmpty();
    assertThat(numbered("\n\n")).isEmpty();
  }

  @Test
  void a_line_without_end_takes_no_more_memory_than_it_takes_to_refuse_it() throws IOException {
    OrderLines lines = lines("x".repeat(10 * OrderFormat.MAX_BYTES) + "\ny");

    assertThat(lines.next().orElseThrow().bytes()).hasSize(OrderFormat.MAX_BYTES + 1);
    assertThat(lines.next().orElseThrow().bytes()).asString(UTF_8).isEqualTo("y");
  }

  private static List<String> numbered(String text) throws IOException {
    OrderLines lines = lines(text);
    List<String> numbered = new ArrayList<>();
    for (Optional<OrderLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
      numbered.add(line.get().number() + ":" + new String(line.get().bytes(), UTF_8));
    }
    return numbered;
  }

  private static OrderLines lines(String text) {
    return new OrderLines(new ByteArrayInputStream(text.getBytes(UTF_8)));
  }
}
