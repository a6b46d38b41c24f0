package dev.trunkline.demo;

/** Something that was sent as an order and is none; the message says why, on one line. */
final class BadOrderException extends Exception {
  private static final long serialVersionUID = 1L;

  BadOrderException(String reason) {
    super(reason);
  }

  String reason() {
    return String.valueOf(getMessage());
  }
}
