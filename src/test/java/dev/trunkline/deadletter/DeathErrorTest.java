package dev.trunkline.deadletter;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class DeathErrorTest {

  @Test
  void class_message_and_stack_with_causes_are_kept() {
    DeathError error =
        DeathError.of(
            shallow(new IOException("outer", shallow(new IllegalStateException("inner")))));

    assertThat(error.className()).isEqualTo("java.io.IOException");
    assertThat(error.message()).isEqualTo("outer");
    assertThat(error.stack())
        .startsWith("java.io.IOException: outer")
        .contains("DeathErrorTest")
        .contains("Caused by: java.lang.IllegalStateException: inner");
  }

  @Test
  void an_exception_without_a_message_has_none() {
    assertThat(DeathError.of(new IOException()).message()).isNull();
  }

  @Test
  void long_messages_and_stacks_are_cut_and_say_so() {
    DeathError error = DeathError.of(new IOException("x".repeat(100_000)));

    assertThat(error.message()).hasSize(DeathError.MAX_MESSAGE_CHARS).endsWith("x…");
    assertThat(error.stack()).hasSize(DeathError.MAX_STACK_CHARS).endsWith("…");
    assertThat(DeathError.of(new IOException("x".repeat(2_000))).message())
        .hasSize(2_000)
        .endsWith("x");
  }

  @Test
  void a_character_of_two_halves_is_not_cut_in_two() {
    for (int before = 1_990; before <= 2_000; before++) {
      String message =
          DeathError.of(new IOException("x".repeat(before) + "😀".repeat(20))).message();

      assertThat(message).isNotNull().hasSizeLessThanOrEqualTo(DeathError.MAX_MESSAGE_CHARS);
      assertThat(message.codePoints().filter(c -> c >= 0xd800 && c <= 0xdfff)).isEmpty();
    }
  }

  @Test
  void what_a_text_column_cannot_hold_is_replaced() {
    DeathError error = DeathError.of(new IOException("a\0b"));

    assertThat(error.message()).isEqualTo("a\\0b");
    assertThat(error.stack()).doesNotContain("\0").contains("a\\0b");
  }

  @Test
  void an_exception_whose_own_methods_throw_is_described_all_the_same() {
    assertThat(DeathError.of(new Unspeakable(new IllegalStateException())).stack())
        .contains("java.lang.IllegalStateException");
    assertThat(DeathError.of(new Unspeakable(new StackOverflowError())).className())
        .isEqualTo(Unspeakable.class.getName());
  }

  @Test
  void causes_that_go_round_in_a_circle_end_somewhere() {
    Exception first = shallow(new Exception("first"));
    Exception second = shallow(new Exception("second", first));
    first.initCause(second);

    assertThat(DeathError.of(first).stack()).contains("CIRCULAR REFERENCE");
  }

  /** Without the frames of the test's own surroundings. */
  private static <T extends Throwable> T shallow(T error) {
    error.setStackTrace(Arrays.copyOf(error.getStackTrace(), 2));
    return error;
  }

  private static final class Unspeakable extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient Throwable instead;

    Unspeakable(Throwable instead) {
      this.instead = instead;
    }

    @Override
    public String getMessage() {
      throwInstead();
      return "";
    }

    @Override
    public void printStackTrace(PrintWriter writer) {
      throwInstead();
    }

    private void throwInstead() {
      if (instead instanceof Error error) {
        throw error;
      }
      throw (RuntimeException) instead;
    }
  }
}
