package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.ReceiveOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** The queue at most once: sendAll, receiveAndDelete with a long poll. */
final class AtMostOnceContender implements Contender {
  private final Workload workload;
  private final Payloads payloads = new Payloads();
  private final AtomicLong numbers = new AtomicLong();
  private final Trunkline trunkline;
  private final Queue queue;

  AtMostOnceContender(Server server, Workload workload) {
    this.workload = workload;
    this.trunkline = Trunkline.open(server.pool());
    this.queue =
        trunkline.queue("benchmark-once-" + ProcessHandle.current().pid(), QueueConfig.defaults());
  }

  @Override
  public String name() {
    return "trunkline, at most once";
  }

  @Override
  public Producer producer() {
    return new Producer() {
      @Override
      public void send() {
        long first = numbers.getAndAdd(workload.batch());
        List<Message> messages = new ArrayList<>(workload.batch());
        for (int i = 0; i < workload.batch(); i++) {
          messages.add(Message.bytes(payloads.get(first + i)));
        }
        queue.sendAll(messages);
      }

      @Override
      public void close() {
        // Its connections are the pool's.
      }
    };
  }

  @Override
  public Consumer consumer() {
    ReceiveOptions options =
        ReceiveOptions.defaults().withMaxMessages(workload.claim()).withMaxWait(Consumer.WAIT);
    return new Consumer() {
      @Override
      public int take() {
        return queue.receiveAndDelete(options).size();
      }

      @Override
      public void close() {
        // Its connections are the pool's.
      }
    };
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
