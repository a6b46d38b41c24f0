package dev.trunkline.benchmark;

import java.sql.SQLException;
import java.time.Duration;

/** Something that messages go through, from producers to consumers. */
interface Contender extends AutoCloseable {
  String name();

  /** A producer, for one thread. */
  Producer producer() throws Exception;

  /** A consumer, for one thread. */
  Consumer consumer() throws Exception;

  /** Closes what all of them share. */
  @Override
  void close();

  /** Sends. */
  interface Producer extends AutoCloseable {
    /** Sends one batch in a transaction of its own; it is on disk when this returns. */
    void send() throws Exception;

    @Override
    void close() throws SQLException;
  }

  /** Receives and settles. */
  interface Consumer extends AutoCloseable {
    /** How long to wait when there is nothing. */
    Duration WAIT = Duration.ofMillis(100);

    /** Receives up to one claim and settles it; answers how many, which may be none. */
    int take() throws Exception;

    @Override
    void close() throws SQLException;
  }
}
