package dev.trunkline.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

class SecondJvmTest {

  /** Says what it was given, then stays. */
  static final class Stayer {
    private Stayer() {}

    public static void main(String[] arguments) throws InterruptedException {
      System.out.println("arguments " + Arrays.toString(arguments));
      System.out.println("heap " + Runtime.getRuntime().maxMemory() / (1024 * 1024));
      System.out.println("property " + System.getProperty("some.property"));
      new CountDownLatch(1).await();
    }
  }

  /** Ends at once. */
  static final class Leaver {
    private Leaver() {}

    public static void main(String[] arguments) {
      System.out.println("leaving");
    }
  }

  @Test
  void it_gets_its_arguments_heap_and_properties_and_dies_when_killed() {
    try (SecondJvm jvm =
        SecondJvm.running(Stayer.class)
            .arguments("a", "b c")
            .maxHeap("64m")
            .property("some.property", "value")
            .start()) {
      assertThat(jvm.awaitLine("arguments (.*)").group(1)).isEqualTo("[a, b c]");
      assertThat(Integer.parseInt(jvm.awaitLine("heap (\\d+)").group(1))).isBetween(56, 64);
      jvm.awaitLine("property value");

      jvm.kill();

      assertThat(jvm.isAlive()).isFalse();
      assertThat(jvm.awaitExit(Duration.ofSeconds(1))).isNotZero();
    }
  }

  @Test
  void it_ends_by_itself_when_its_lifetime_is_over() {
    try (SecondJvm jvm = SecondJvm.running(Stayer.class).lifetime(Duration.ofMillis(500)).start()) {
      assertThat(jvm.awaitExit(Duration.ofSeconds(20))).isEqualTo(124);
    }
  }

  @Test
  void a_line_that_never_comes_is_said_as_soon_as_it_has_ended() {
    try (SecondJvm jvm = SecondJvm.running(Leaver.class).start()) {
      assertThat(jvm.awaitExit(Duration.ofSeconds(20))).isZero();

      assertThatThrownBy(() -> jvm.awaitLine("never"))
          .hasMessageContaining("ended without a line with never")
          .hasMessageContaining("leaving");
    }
  }
}
