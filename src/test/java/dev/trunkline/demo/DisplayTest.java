package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import org.junit.jupiter.api.Test;

class DisplayTest {
  private static final String ESCAPE = "\u001b";

  private final ByteArrayOutputStream screen = new ByteArrayOutputStream();
  private final PrintStream stream = new PrintStream(screen, true, UTF_8);

  @Test
  void a_mail_service_that_needs_no_time_keeps_up_with_any_rate() {
    assertThat(Header.keepsUpWith(40 / 3.0)).isEqualTo("13.3 orders/s");
    assertThat(Header.keepsUpWith(Double.POSITIVE_INFINITY)).isEqualTo("any rate");
  }

  @Test
  void a_pipe_gets_block_after_block_and_no_escape_codes() {
    Display display = new Display(stream, stream, false);

    display.print(List.of("header"));
    display.draw(List.of("one", "two"));
    display.note("careful");
    display.draw(List.of("three"));
    display.keep();
    display.print(List.of("summary"));

    assertThat(text()).isEqualTo("header\none\ntwo\n\ncareful\nthree\n\nsummary\n");
  }

  @Test
  void a_terminal_gets_the_new_block_in_place_of_the_old_one() {
    Display display = new Display(stream, stream, true);

    display.draw(List.of("one", "two"));
    assertThat(text()).doesNotContain(ESCAPE + "[2F");
    display.draw(List.of("three"));

    assertThat(text()).contains(ESCAPE + "[2F" + ESCAPE + "[J").contains("three");
  }

  @Test
  void what_is_logged_goes_above_the_block_on_a_terminal() {
    Display display = new Display(stream, stream, true);
    PrintStream log = new PrintStream(new NoticeStream(display), true, UTF_8);

    display.draw(List.of("block"));
    log.print("half ");
    log.print("and half\r\n");

    assertThat(text().substring(text().indexOf(ESCAPE + "[1F")))
        .matches("(?s)" + ESCAPE + "\\[1F" + ESCAPE + "\\[Jhalf and half\n.*block\n.*");
  }

  private String text() {
    return screen.toString(UTF_8).replace(System.lineSeparator(), "\n");
  }
}
