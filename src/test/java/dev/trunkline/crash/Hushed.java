package dev.trunkline.crash;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.util.HashMap;
import java.util.Map;
import org.slf4j.LoggerFactory;

/** Loggers that say nothing below ERROR while a test breaks what they complain about. */
public final class Hushed implements AutoCloseable {
  private final Map<Logger, Level> before = new HashMap<>();

  private Hushed() {}

  /** The pool, and the loops with their stack traces. */
  public static Hushed connectionTrouble() {
    Hushed hushed = new Hushed();
    for (String name : new String[] {"com.zaxxer.hikari", "dev.trunkline.internal.loop"}) {
      Logger logger = (Logger) LoggerFactory.getLogger(name);
      hushed.before.put(logger, logger.getLevel());
      logger.setLevel(Level.ERROR);
    }
    return hushed;
  }

  @Override
  public void close() {
    before.forEach(Logger::setLevel);
  }
}
