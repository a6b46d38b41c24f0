package dev.trunkline.benchmark;

import dev.trunkline.message.Message;
import java.sql.Connection;
import java.util.function.Consumer;

/** What a message takes from its sender to its handler: a queue, or a topic. Thread-safe. */
interface LatencyPath extends AutoCloseable {
  String name();

  /** Starts to handle: calls this with each payload. */
  void handle(Consumer<byte[]> handler);

  /** Sends in a transaction of its own. */
  void send(Message message);

  /** Sends in the sender's transaction. */
  void send(Connection connection, Message message);

  @Override
  void close();
}
