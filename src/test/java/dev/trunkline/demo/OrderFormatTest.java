package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OrderFormatTest {

  @Test
  void the_example_is_an_order() throws BadOrderException {
    assertThat(OrderFormat.read(OrderFormat.EXAMPLE.getBytes(UTF_8)))
        .isEqualTo(new Order("A-1", "ada", "book", 1, new BigDecimal("9.50")));
  }

  @Test
  void a_field_more_is_no_harm_and_any_language_will_do() throws BadOrderException {
    Order order =
        read(
            """
            {"id":"B","customer":"Jürgen","item":"🎁","quantity":1000,"amount":-1e2,"colour":"red"}\r""");

    assertThat(order).isEqualTo(new Order("B", "Jürgen", "🎁", 1000, new BigDecimal("-100.00")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "x | not JSON",
        "[] | not a JSON object",
        "~~ | not a JSON object",
        "null | not a JSON object",
        "{} | id is missing",
        "{'id':7} | id must be text: 7",
        "{'id':'a b'} | id must be 1 to 64 letters, digits",
        "{'id':'-a'} | id must be 1 to 64 letters, digits",
        "{'id':'a','id':'b'} | not JSON: Duplicate field",
        "{'id':'a'} {} | not JSON",
        "{'id':'a','customer':null} | customer is missing",
        "{'id':'a','customer':' '} | customer must be 1 to 200 characters",
        "{'id':'a','customer':'\\u0000'} | customer must be plain characters",
        "{'id':'a','customer':'\\ud800'} | customer must be plain characters",
        "{'id':'a','customer':'c','item':'i','quantity':0} | quantity must be a whole number",
        "{'id':'a','customer':'c','item':'i','quantity':1.5} | quantity must be a whole number",
        "{'id':'a','customer':'c','item':'i','quantity':99999999999} | quantity must be a whole",
        "{'id':'a','customer':'c','item':'i','quantity':1} | amount is missing",
        "{'id':'a','customer':'c','item':'i','quantity':1,'amount':'1'} | amount must be a number",
        "{'id':'a','customer':'c','item':'i','quantity':1,'amount':0.001} | amount must be a number",
        "{'id':'a','customer':'c','item':'i','quantity':1,'amount':1e9} | amount must be a number",
        "{'id':'a','customer':'c','item':'i','quantity':1,'amount':1e999999999} | amount must be a",
        "{'id':'a','customer':'c','item':'i','quantity':1,'amount':1e-999999999} | amount must be a"
      })
  void what_is_no_order_is_refused_with_the_reason(String json, String reason) {
    assertThatThrownBy(() -> read(json.replace('\'', '"')))
        .isInstanceOf(BadOrderException.class)
        .hasMessageStartingWith(reason)
        .hasMessageNotContaining("\n");
  }

  @Test
  void bytes_that_are_no_text_are_refused() {
    assertThatThrownBy(() -> OrderFormat.read(new byte[] {'{', (byte) 0xff, '}'}))
        .hasMessage("not UTF-8");
    assertThatThrownBy(() -> OrderFormat.read(new byte[OrderFormat.MAX_BYTES + 1]))
        .hasMessage("longer than 65536 bytes");
  }

  private static Order read(String json) throws BadOrderException {
    return OrderFormat.read(json.getBytes(UTF_8));
  }
}
