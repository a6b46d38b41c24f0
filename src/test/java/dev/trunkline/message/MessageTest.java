package dev.trunkline.message;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.PayloadUnreadableException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class MessageTest {

  @Test
  void a_message_is_never_changed_only_copied() {
    Message plain = Message.text("a");

    Message dressed =
        plain
            .withKey("k")
            .withType("t")
            .withContentType("c")
            .withHeader("h", "v")
            .withPriority(9)
            .withDelay(Duration.ofSeconds(1));

    assertThat(plain.key()).isEmpty();
    assertThat(plain.type()).isEmpty();
    assertThat(plain.contentType()).contains("text/plain");
    assertThat(plain.headers()).isEmpty();
    assertThat(plain.priority()).isZero();
    assertThat(plain.delay()).isEmpty();
    assertThat(dressed.key()).contains("k");
    assertThat(dressed.delay()).contains(Duration.ofSeconds(1));
    assertThat(dressed.text()).isEqualTo("a");
  }

  @Test
  void what_was_set_can_be_taken_away() {
    Message message = Message.text("a").withKey("k").withType("t");

    assertThat(message.withKey(null).key()).isEmpty();
    assertThat(message.withType(null).type()).isEmpty();
    assertThat(message.withContentType(null).contentType()).isEmpty();
    assertThat(message.withHeader("h", "v").withHeaders(Map.of()).headers()).isEmpty();
  }

  @Test
  void headers_are_added_one_by_one_or_replaced_together() {
    Message message = Message.text("a").withHeader("a", "1").withHeader("b", "2");

    assertThat(message.withHeader("a", "3").headers()).isEqualTo(Map.of("a", "3", "b", "2"));
    assertThat(message.withHeaders(Map.of("c", "4")).headers()).isEqualTo(Map.of("c", "4"));
    assertThatThrownBy(() -> message.headers().put("d", "5"))
        .isInstanceOf(UnsupportedOperationException.class);
  }

  @Test
  void headers_are_a_copy_of_what_was_passed() {
    Map<String, String> headers = new HashMap<>(Map.of("a", "1"));
    Message message = Message.text("a").withHeaders(headers);

    headers.put("b", "2");

    assertThat(message.headers()).isEqualTo(Map.of("a", "1"));
  }

  @Test
  void the_last_of_delay_and_instant_counts() {
    Instant at = Instant.parse("2030-01-01T00:00:00Z");
    Message message = Message.text("a").withDelay(Duration.ofSeconds(1)).withDeliverAt(at);

    assertThat(message.delay()).isEmpty();
    assertThat(message.deliverAt()).contains(at);
    assertThat(message.withDelay(Duration.ofSeconds(2)).deliverAt()).isEmpty();
  }

  @Test
  void u0000_is_refused_where_postgresql_cannot_hold_it() {
    Message message = Message.text("payloads may\0");
    List<ThrowingCallable> calls =
        List.of(
            () -> message.withKey("a\0b"),
            () -> message.withType("a\0b"),
            () -> message.withContentType("a\0b"),
            () -> message.withHeader("name", "a\0b"),
            () -> message.withHeader("a\0b", "value"),
            () -> message.withHeaders(Map.of("name", "a\0b")));

    assertThat(calls)
        .allSatisfy(
            call ->
                assertThatThrownBy(call)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("U+0000")
                    .hasMessageEndingWith("a?b"));
  }

  @Test
  void key_type_and_content_type_may_have_1000_characters() {
    Message message = Message.text("a");
    String longest = "x".repeat(1_000);

    assertThat(message.withKey(longest).key()).contains(longest);
    assertThat(message.withType(longest).type()).contains(longest);
    assertThat(message.withContentType(longest).contentType()).contains(longest);
    assertThatThrownBy(() -> message.withKey(longest + "x"))
        .hasMessage("key must be at most 1000 characters: 1001");
    assertThatThrownBy(() -> message.withType(longest + "x"))
        .hasMessage("type must be at most 1000 characters: 1001");
    assertThatThrownBy(() -> message.withContentType(longest + "x"))
        .hasMessage("contentType must be at most 1000 characters: 1001");
  }

  @Test
  void delays_and_instants_out_of_range_are_refused_with_their_value() {
    Message message = Message.text("a");

    assertThatThrownBy(() -> message.withDelay(Duration.ofMillis(-1)))
        .hasMessage("delay must be between zero and 3650 days: PT-0.001S");
    assertThatThrownBy(() -> message.withDelay(Duration.ofDays(3_651)))
        .hasMessage("delay must be between zero and 3650 days: PT87624H");
    assertThatThrownBy(() -> message.withDeliverAt(Instant.parse("+10000-01-01T00:00:00Z")))
        .hasMessage("deliverAt must be before the year 10000: +10000-01-01T00:00:00Z");
  }

  @Test
  void bytes_that_are_not_utf_8_are_no_text() {
    Message message = Message.bytes(new byte[] {'a', (byte) 0xc3}).withContentType("text/plain");

    assertThatThrownBy(message::text)
        .isInstanceOf(PayloadUnreadableException.class)
        .hasMessageContaining("UTF-8")
        .hasMessageContaining("text/plain");
  }

  @Test
  void a_message_names_itself_and_never_its_payload() {
    Message message = Message.text("secret").withKey("k").withType("t").withPriority(2);

    assertThat(message).hasToString("Message[key=k, type=t, priority=2, 6 bytes]");
  }
}
