package dev.trunkline.queue;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.util.List;

/** All at once; received by push. */
class BatchContractTest extends PushContract {
  @Override
  List<MessageId> send(List<Message> messages) {
    return queue.sendAll(messages);
  }
}
