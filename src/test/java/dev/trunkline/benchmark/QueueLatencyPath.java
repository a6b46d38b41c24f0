package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import java.sql.Connection;
import java.util.function.Consumer;

/** A queue with a push consumer. */
final class QueueLatencyPath implements LatencyPath {
  private final Trunkline trunkline;
  private final Queue queue;

  QueueLatencyPath(Server server) {
    this.trunkline = Trunkline.open(server.pool());
    this.queue =
        trunkline.queue("latency-" + ProcessHandle.current().pid(), QueueConfig.defaults());
  }

  @Override
  public String name() {
    return "queue";
  }

  @Override
  public void handle(Consumer<byte[]> handler) {
    queue.consume(
        delivery -> {
          handler.accept(delivery.message().payload());
          return Outcome.ack();
        });
  }

  @Override
  public void send(Message message) {
    queue.send(message);
  }

  @Override
  public void send(Connection connection, Message message) {
    queue.send(connection, message);
  }

  @Override
  public void close() {
    try {
      queue.delete();
    } finally {
      trunkline.close();
    }
  }
}
