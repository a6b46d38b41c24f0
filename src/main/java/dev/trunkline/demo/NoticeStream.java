package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;

/**
 * Standard error of a program that draws in place: each line of the log goes above the block
 * instead of into it. Thread-safe.
 */
final class NoticeStream extends OutputStream {
  private final Display display;
  private final ByteArrayOutputStream line = new ByteArrayOutputStream();

  NoticeStream(Display display) {
    this.display = display;
  }

  @Override
  public synchronized void write(int next) {
    if (next == '\n') {
      display.note(line.toString(UTF_8));
      line.reset();
    } else if (next != '\r') {
      line.write(next);
    }
  }
}
