package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.sql.Connection;
import java.util.List;

/** In a transaction of the caller's, some together and the rest one by one; received by pull. */
class CallersConnectionContractTest extends PullContract {
  @Override
  List<MessageId> send(List<Message> messages) throws Exception {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      int half = messages.size() / 2;
      List<MessageId> ids =
          new java.util.ArrayList<>(queue.sendAll(connection, messages.subList(0, half)));
      messages.subList(half, messages.size()).forEach(m -> ids.add(queue.send(connection, m)));
      assertThat(queue.receive(10)).as("before the commit").isEmpty();
      connection.commit();
      return ids;
    }
  }
}
