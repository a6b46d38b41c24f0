package dev.trunkline.queue;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.util.List;

/** One by one, each in a transaction of its own; received by pull. */
class OwnTransactionContractTest extends PullContract {
  @Override
  List<MessageId> send(List<Message> messages) {
    return messages.stream().map(queue::send).toList();
  }
}
