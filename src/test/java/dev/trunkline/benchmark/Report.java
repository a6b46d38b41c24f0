package dev.trunkline.benchmark;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a run found: lines for people, and numbers for programs. Not thread-safe. */
final class Report {
  private final List<String> lines = new ArrayList<>();
  private final Map<String, Object> numbers = new LinkedHashMap<>();

  Report(String benchmark) {
    numbers.put("benchmark", benchmark);
  }

  /** A line of text. */
  Report line(String format, Object... arguments) {
    lines.add(format.formatted(arguments));
    return this;
  }

  /** A row of a table: a name, and cells that are aligned to the right. */
  Report row(String name, Object... cells) {
    StringBuilder row = new StringBuilder("%-34s".formatted(name));
    for (Object cell : cells) {
      row.append("%12s".formatted(cell instanceof Double number ? readable(number) : cell));
    }
    lines.add(row.toString());
    return this;
  }

  /** A number of the JSON object, rounded to so many places. */
  Report number(String name, double value, int places) {
    double scale = Math.pow(10, places);
    double rounded = Math.round(value * scale) / scale;
    if (places == 0) {
      numbers.put(name, Math.round(value));
    } else {
      numbers.put(name, rounded);
    }
    return this;
  }

  String table() {
    return String.join(System.lineSeparator(), lines);
  }

  String json() throws JsonProcessingException {
    return new ObjectMapper().writeValueAsString(numbers);
  }

  private static String readable(double number) {
    return "%,.${places}f"
        .replace("${places}", number < 10 ? "2" : number < 1000 ? "1" : "0")
        .formatted(number);
  }
}
