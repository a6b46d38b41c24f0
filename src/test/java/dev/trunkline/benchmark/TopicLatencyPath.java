package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.sql.Connection;
import java.util.function.Consumer;

/** A topic of four partitions with one group of one member that is pushed to. */
final class TopicLatencyPath implements LatencyPath {
  private final Trunkline trunkline;
  private final Topic topic;

  TopicLatencyPath(Server server) {
    this.trunkline = Trunkline.open(server.pool());
    this.topic =
        trunkline.topic("latency-" + ProcessHandle.current().pid(), TopicConfig.defaults());
  }

  @Override
  public String name() {
    return "topic";
  }

  @Override
  public void handle(Consumer<byte[]> handler) {
    topic.subscribe(
        "latency",
        GroupConfig.from(StartFrom.earliest()),
        record -> handler.accept(record.message().payload()));
  }

  @Override
  public void send(Message message) {
    topic.publish(message);
  }

  @Override
  public void send(Connection connection, Message message) {
    topic.publish(connection, message);
  }

  @Override
  public void close() {
    trunkline.close();
  }
}
