package dev.trunkline.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.zip.CRC32;

/**
 * What goes wrong in the demo, so that retries and dead letters are seen: rare, and decided by the
 * order's id, so that it is the same in every process and at every attempt.
 */
final class Trouble {
  /** One generated order in so many costs nothing, and payment rejects it. */
  static final int WORTHLESS_ONE_IN = 50;

  /** One order in so many fails at the warehouse's first attempt. */
  static final int STUCK_ONE_IN = 25;

  private Trouble() {}

  /** Whether the generator makes this an order that costs nothing. */
  static boolean makesWorthless(String orderId) {
    return draw("worthless " + orderId, WORTHLESS_ONE_IN);
  }

  /** Whether the warehouse fails at this attempt. */
  static boolean sticksAtTheWarehouse(String orderId, int attempt) {
    return attempt == 1 && draw("stuck " + orderId, STUCK_ONE_IN);
  }

  private static boolean draw(String ticket, int oneIn) {
    CRC32 crc = new CRC32();
    crc.update(ticket.getBytes(UTF_8));
    return crc.getValue() % oneIn == 0;
  }
}
