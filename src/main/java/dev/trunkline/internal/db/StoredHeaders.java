package dev.trunkline.internal.db;

import java.sql.Array;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Headers between Java and jsonb, without a JSON parser: both ways they are a flat text array of
 * names and values, which {@code jsonb_object} and {@code jsonb_each_text} turn into an object and
 * back.
 */
public final class StoredHeaders {
  private StoredHeaders() {}

  /** Headers that a statement answered; null means none. */
  public static Map<String, String> of(@Nullable Array flat) throws SQLException {
    if (flat == null) {
      return Map.of();
    }
    String[] parts = (String[]) flat.getArray();
    Map<String, String> headers = new HashMap<>();
    for (int i = 0; i + 1 < parts.length; i += 2) {
      headers.put(parts[i], parts[i + 1]);
    }
    return headers;
  }

  /**
   * Headers as the text of a PostgreSQL array, to be cast to {@code text[]}; null if there are
   * none.
   */
  public static @Nullable String arrayLiteral(Map<String, String> headers) {
    if (headers.isEmpty()) {
      return null;
    }
    StringBuilder literal = new StringBuilder("{");
    headers.forEach(
        (name, value) -> {
          quote(name, literal).append(',');
          quote(value, literal).append(',');
        });
    literal.setCharAt(literal.length() - 1, '}');
    return literal.toString();
  }

  private static StringBuilder quote(String text, StringBuilder target) {
    return target.append('"').append(text.replace("\\", "\\\\").replace("\"", "\\\"")).append('"');
  }
}
