package dev.trunkline.demo;

import java.io.PrintStream;
import java.util.List;

/**
 * What a person sees: lines that stay, and below them a block that is drawn again and again. On a
 * terminal the block is redrawn in place; in a pipe one block follows the other, without escape
 * codes. Thread-safe.
 */
final class Display {
  private static final String UP_AND_CLEAR = "\u001b[%dF\u001b[J";

  /** A line longer than the terminal is wide is cut, not wrapped: the count of lines must hold. */
  private static final String NO_WRAP = "\u001b[?7l";

  private static final String WRAP = "\u001b[?7h";

  private final PrintStream out;
  private final PrintStream err;
  private final boolean inPlace;
  private List<String> block = List.of();

  /**
   * A display.
   *
   * @param inPlace whether {@code out} is a terminal that can move its cursor
   */
  Display(PrintStream out, PrintStream err, boolean inPlace) {
    this.out = out;
    this.err = err;
    this.inPlace = inPlace;
  }

  boolean isInPlace() {
    return inPlace;
  }

  /** Prints lines that stay. */
  synchronized void print(List<String> lines) {
    erase();
    lines.forEach(out::println);
    redraw();
    out.flush();
  }

  /** Prints a line that stays, on standard error. */
  synchronized void note(String line) {
    erase();
    out.flush();
    err.println(line);
    err.flush();
    redraw();
    out.flush();
  }

  /** Draws the block, instead of the one before. */
  synchronized void draw(List<String> lines) {
    if (inPlace) {
      erase();
      block = List.copyOf(lines);
      redraw();
    } else {
      lines.forEach(out::println);
      out.println();
    }
    out.flush();
  }

  /** What was drawn last stays. */
  synchronized void keep() {
    if (inPlace) {
      out.println();
    }
    block = List.of();
  }

  /** Whether nobody reads any more. */
  boolean isGone() {
    return out.checkError();
  }

  private void erase() {
    if (!block.isEmpty()) {
      out.printf(UP_AND_CLEAR, block.size());
    }
  }

  private void redraw() {
    if (!block.isEmpty()) {
      out.print(NO_WRAP);
      block.forEach(out::println);
      out.print(WRAP);
    }
  }
}
