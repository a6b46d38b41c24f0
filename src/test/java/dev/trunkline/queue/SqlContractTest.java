package dev.trunkline.queue;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * By {@code select trunkline.send(..)}, as a trigger or another language does; received by pull.
 */
class SqlContractTest extends PullContract {
  private static final String SEND =
      """
      SELECT trunkline.send(
        queue => 'orders', payload => ?, key => ?, type => ?, content_type => ?, priority => ?,
        delay => ? * interval '1 millisecond', headers => jsonb_object(?))
      """;

  @Override
  List<MessageId> send(List<Message> messages) throws Exception {
    List<MessageId> ids = new ArrayList<>();
    try (Connection connection = database.connect();
        PreparedStatement statement = connection.prepareStatement(SEND)) {
      for (Message message : messages) {
        List<String> headers = new ArrayList<>();
        message.headers().forEach((name, value) -> headers.addAll(List.of(name, value)));
        statement.setString(1, message.text());
        statement.setString(2, message.key().orElse(null));
        statement.setString(3, message.type().orElse(null));
        statement.setString(4, message.contentType().orElse(null));
        statement.setInt(5, message.priority());
        statement.setLong(6, message.delay().orElse(Duration.ZERO).toMillis());
        statement.setArray(7, connection.createArrayOf("text", headers.toArray()));
        try (ResultSet answer = statement.executeQuery()) {
          answer.next();
          ids.add(new MessageId(answer.getLong(1)));
        }
      }
    }
    return ids;
  }
}
