package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.util.List;
import org.jdbi.v3.core.Jdbi;

/** On a Jdbi handle, in the caller's transaction; received by push. */
class HandleContractTest extends PushContract {
  @Override
  List<MessageId> send(List<Message> messages) {
    return Jdbi.create(database.dataSource())
        .inTransaction(
            handle -> {
              List<MessageId> ids =
                  messages.size() == 1
                      ? List.of(queue.send(handle, messages.get(0)))
                      : queue.sendAll(handle, messages);
              assertThat(queue.stats().sent()).as("before the commit").isZero();
              return ids;
            });
  }
}
