package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeType;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.util.regex.Pattern;

/**
 * An order as one JSON object in UTF-8, as files and requests bring it. Unknown fields are ignored.
 */
final class OrderFormat {
  /** Most bytes of one order. */
  static final int MAX_BYTES = 64 * 1024;

  /** An order to show how it is done. */
  static final String EXAMPLE =
      "{\"id\":\"A-1\",\"customer\":\"ada\",\"item\":\"book\",\"quantity\":1,\"amount\":9.50}";

  private static final Pattern ID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");
  private static final int MAX_TEXT = 200;
  private static final int MAX_QUANTITY = 1000;
  private static final BigDecimal MAX_AMOUNT = new BigDecimal("99999999.99");

  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .build();

  private OrderFormat() {}

  /** Reads an order. */
  static Order read(byte[] json) throws BadOrderException {
    if (json.length > MAX_BYTES) {
      throw new BadOrderException("longer than " + MAX_BYTES + " bytes");
    }
    JsonNode fields = object(json);
    String id = text(fields, "id");
    if (!ID.matcher(id).matches()) {
      throw new BadOrderException(
          "id must be 1 to 64 letters, digits, dots, hyphens or underscores: " + shown(id));
    }
    return new Order(
        id, text(fields, "customer"), text(fields, "item"), quantity(fields), amount(fields));
  }

  private static JsonNode object(byte[] json) throws BadOrderException {
    try {
      String text = UTF_8.newDecoder().decode(ByteBuffer.wrap(json)).toString();
      JsonNode node = MAPPER.readTree(text);
      if (node == null || !node.isObject()) {
        throw new BadOrderException("not a JSON object");
      }
      return node;
    } catch (CharacterCodingException e) {
      throw new BadOrderException("not UTF-8");
    } catch (JsonProcessingException e) {
      throw new BadOrderException("not JSON: " + shown(String.valueOf(e.getOriginalMessage())));
    }
  }

  private static JsonNode field(JsonNode fields, String name) throws BadOrderException {
    JsonNode value = fields.get(name);
    if (value == null || value.isNull()) {
      throw new BadOrderException(name + " is missing");
    }
    return value;
  }

  private static String text(JsonNode fields, String name) throws BadOrderException {
    JsonNode value = field(fields, name);
    if (value.getNodeType() != JsonNodeType.STRING) {
      throw new BadOrderException(name + " must be text: " + shown(value.toString()));
    }
    String text = value.textValue();
    if (text.isBlank() || text.length() > MAX_TEXT) {
      throw new BadOrderException(
          "%s must be 1 to %d characters: %s".formatted(name, MAX_TEXT, shown(text)));
    }
    // Half a surrogate pair is valid in JSON, and no character.
    if (text.chars().anyMatch(Character::isISOControl) || !UTF_8.newEncoder().canEncode(text)) {
      throw new BadOrderException(name + " must be plain characters: " + shown(text));
    }
    return text;
  }

  private static int quantity(JsonNode fields) throws BadOrderException {
    JsonNode value = field(fields, "quantity");
    if (!value.isIntegralNumber()
        || !value.canConvertToInt()
        || value.intValue() < 1
        || value.intValue() > MAX_QUANTITY) {
      throw new BadOrderException(
          "quantity must be a whole number from 1 to %d: %s"
              .formatted(MAX_QUANTITY, shown(value.toString())));
    }
    return value.intValue();
  }

  private static BigDecimal amount(JsonNode fields) throws BadOrderException {
    JsonNode value = field(fields, "amount");
    if (value.isNumber()) {
      // The scale is set last: a number such as 1e999999999 must not be written out.
      BigDecimal amount = value.decimalValue().stripTrailingZeros();
      if (amount.abs().compareTo(MAX_AMOUNT) <= 0 && amount.scale() <= 2) {
        return amount.setScale(2);
      }
    }
    throw new BadOrderException(
        "amount must be a number with two decimals, at most %s: %s"
            .formatted(MAX_AMOUNT, shown(value.toString())));
  }

  /** Short enough for a line, and without what would disturb a terminal. */
  private static String shown(String text) {
    String cut = text.length() > 60 ? text.substring(0, 60) + "..." : text;
    return cut.replaceAll("\\p{Cntrl}", "?");
  }
}
