package dev.trunkline.message;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.trunkline.error.PayloadUnreadableException;
import dev.trunkline.error.PayloadUnwritableException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CodecTest {

  record Order(int id, String customer, List<String> items) {}

  record Node(Object next) {}

  /** A codec that refuses both ways. */
  private static final class Refusing implements Codec {
    @Override
    public String contentType() {
      return "application/x-refused";
    }

    @Override
    public byte[] encode(Object value) throws Exception {
      throw new IOException("cannot write");
    }

    @Override
    public <T> T decode(byte[] payload, Class<T> type) throws Exception {
      throw new IOException("cannot read");
    }
  }

  @Test
  void json_is_written_as_anybody_would_expect() {
    Message message = Message.json(new Order(1, "Ada", List.of("tea")));

    assertThat(message.text()).isEqualTo("{\"id\":1,\"customer\":\"Ada\",\"items\":[\"tea\"]}");
    assertThat(message.contentType()).contains("application/json");
    assertThat(message.json(Map.class).get("customer")).isEqualTo("Ada");
  }

  @Test
  void a_field_that_the_reader_does_not_know_is_ignored() {
    Message newer = Message.text("{\"id\":1,\"customer\":\"Ada\",\"items\":[],\"coupon\":\"x\"}");

    assertThat(newer.json(Order.class)).isEqualTo(new Order(1, "Ada", List.of()));
  }

  @Test
  void what_is_not_json_of_this_type_is_unreadable_and_says_as_what() {
    for (String payload : List.of("", "{", "[]", "nonsense", "{\"id\":\"x\"}", "null")) {
      assertThatThrownBy(() -> Message.text(payload).json(Order.class))
          .as(payload)
          .isInstanceOf(PayloadUnreadableException.class)
          .hasMessageContaining(Order.class.getName())
          .hasMessageContaining("text/plain")
          .hasCauseInstanceOf(Exception.class);
    }
  }

  @Test
  void what_cannot_be_written_is_unwritable_and_says_what_it_was() {
    assertThatThrownBy(() -> Message.json(new Object()))
        .isInstanceOf(PayloadUnwritableException.class)
        .hasMessageContaining("java.lang.Object");
    assertThatThrownBy(() -> Message.of("value", new Refusing()))
        .isInstanceOf(PayloadUnwritableException.class)
        .hasMessageContaining("java.lang.String")
        .hasMessageContaining("cannot write")
        .hasCauseInstanceOf(IOException.class);
  }

  @Test
  void a_codec_may_throw_what_it_likes_when_it_reads() {
    assertThatThrownBy(() -> Message.text("a").as(Order.class, new Refusing()))
        .isInstanceOf(PayloadUnreadableException.class)
        .hasMessageContaining("cannot read")
        .hasCauseInstanceOf(IOException.class);
  }

  @Test
  void a_mapper_of_the_callers_decides_how_json_looks() {
    Codec strict = new JsonCodec(new ObjectMapper());

    assertThatThrownBy(() -> Message.text("{\"id\":1,\"unknown\":2}").as(Order.class, strict))
        .isInstanceOf(PayloadUnreadableException.class);
    assertThat(new String(Message.of(Map.of("a", 1), strict).payload(), UTF_8))
        .isEqualTo("{\"a\":1}");
  }

  @Test
  void json_that_is_nested_beyond_reason_is_unreadable_and_nothing_worse() {
    String nested = "{\"next\":".repeat(100_000) + "1" + "}".repeat(100_000);

    assertThatThrownBy(() -> Message.text(nested).json(Node.class))
        .isInstanceOf(PayloadUnreadableException.class);
  }
}
