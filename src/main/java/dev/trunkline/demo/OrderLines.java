package dev.trunkline.demo;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Optional;

/**
 * Numbered lines of bytes, blank ones left out, each held up to one byte over an order's limit.
 * Thread-safe: each line goes to one caller.
 */
final class OrderLines {
  private static final byte[] BYTE_ORDER_MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};

  private final InputStream input;
  private long number;
  private boolean ended;

  OrderLines(InputStream input) {
    this.input = new BufferedInputStream(input);
  }

  /** A line, without its end. */
  record Line(long number, byte[] bytes) {}

  /** The next line that is not blank, or empty at the end. */
  synchronized Optional<Line> next() throws IOException {
    while (!ended) {
      byte[] bytes = read();
      number++;
      if (!isBlank(bytes)) {
        return Optional.of(new Line(number, bytes));
      }
    }
    return Optional.empty();
  }

  private byte[] read() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    int next = input.read();
    while (next >= 0 && next != '\n') {
      if (line.size() <= OrderFormat.MAX_BYTES) {
        line.write(next);
      }
      next = input.read();
    }
    ended = next < 0;
    return withoutMark(line.toByteArray());
  }

  private byte[] withoutMark(byte[] line) {
    boolean marked =
        number == 0
            && line.length >= BYTE_ORDER_MARK.length
            && line[0] == BYTE_ORDER_MARK[0]
            && line[1] == BYTE_ORDER_MARK[1]
            && line[2] == BYTE_ORDER_MARK[2];
    return marked ? Arrays.copyOfRange(line, BYTE_ORDER_MARK.length, line.length) : line;
  }

  private static boolean isBlank(byte[] line) {
    for (byte each : line) {
      if (each != ' ' && each != '\t' && each != '\r') {
        return false;
      }
    }
    return true;
  }
}
