package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.GroupConsumer;
import dev.trunkline.topic.PollOptions;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A topic of four partitions, as a user has it: publishAll, and groups of two members that poll and
 * commit.
 */
final class TopicContender implements Contender {
  private static final int COMMIT_EVERY_NANOS = 250_000_000;

  private final Workload workload;
  private final Payloads payloads = new Payloads();
  private final AtomicLong numbers = new AtomicLong();
  private final AtomicInteger members = new AtomicInteger();
  private final Trunkline trunkline;
  private final Topic topic;

  TopicContender(Server server, Workload workload) {
    this.workload = workload;
    this.trunkline = Trunkline.open(server.pool());
    this.topic =
        trunkline.topic(
            "benchmark-%d-%d".formatted(ProcessHandle.current().pid(), workload.copies()),
            TopicConfig.defaults());
  }

  @Override
  public String name() {
    return workload.copies() == 1
        ? "topic, one group of two"
        : "topic, %d groups of two".formatted(workload.copies());
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
        topic.publishAll(messages);
      }

      @Override
      public void close() {
        // Its connections are the pool's.
      }
    };
  }

  /** Commits a few times a second, and at the end: nothing is read twice by the next slice. */
  @Override
  public Consumer consumer() {
    String group = "group-" + members.getAndIncrement() % workload.copies();
    GroupConsumer member = topic.join(group, GroupConfig.from(StartFrom.earliest()));
    PollOptions options =
        PollOptions.defaults().withMaxRecords(workload.claim()).withMaxWait(Consumer.WAIT);
    return new Consumer() {
      private long committedNanos = System.nanoTime();

      @Override
      public int take() {
        int count = member.poll(options).size();
        if (System.nanoTime() - committedNanos > COMMIT_EVERY_NANOS) {
          committedNanos = System.nanoTime();
          member.commit();
        }
        return count;
      }

      @Override
      public void close() {
        member.commit();
        member.close();
      }
    };
  }

  @Override
  public void close() {
    try {
      topic.delete();
    } finally {
      trunkline.close();
    }
  }
}
