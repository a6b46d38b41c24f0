package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class OrderTest extends QueueFixture {

  @Test
  void higher_priorities_come_first_and_equal_ones_in_the_order_of_sending() {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      messages.add(Message.text("m" + i).withPriority(i * 7 % 10));
    }
    List<MessageId> ids = queue.sendAll(messages);

    List<Delivery> received = queue.receive(upTo(200));

    assertThat(ids(received)).isEqualTo(expectedOrder(ids, messages));
  }

  @Test
  void a_message_of_higher_priority_overtakes_those_that_wait() {
    sendNumbers(100);
    assertThat(texts(queue.receive(3))).containsExactly("0", "1", "2");

    queue.send(Message.text("urgent").withPriority(1));

    assertThat(texts(queue.receive(2))).containsExactly("urgent", "3");
  }

  @Test
  void a_batch_may_be_split_at_any_place() {
    for (int first = 1; first <= 33; first++) {
      List<MessageId> ids = sendNumbers(33);

      List<Delivery> received = new ArrayList<>(queue.receive(first));
      assertThat(received).hasSize(first);
      received.addAll(queue.receive(upTo(100)));

      assertThat(ids(received)).as("split at %d", first).isEqualTo(ids);
      queue.ackAll(received);
    }
  }

  @Test
  void a_batch_may_be_taken_one_by_one() {
    List<MessageId> ids = sendNumbers(70);

    List<MessageId> received = new ArrayList<>();
    for (int i = 0; i < 70; i++) {
      received.add(queue.receive(1).get(0).id());
    }

    assertThat(received).isEqualTo(ids);
    assertThat(queue.receive(1)).isEmpty();
  }

  @Test
  void what_is_released_goes_to_the_end_of_its_line() {
    queue.sendAll(
        List.of(
            Message.text("high a").withPriority(5),
            Message.text("high b").withPriority(5),
            Message.text("low")));
    queue.receive(1).get(0).release();

    assertThat(texts(queue.receive(10))).containsExactly("high b", "high a", "low");
  }

  @RepeatedTest(3)
  void one_consumer_gets_each_priority_in_order_whatever_the_sizes_of_batches() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    Map<MessageId, Integer> sent = new LinkedHashMap<>();
    List<MessageId> received = new ArrayList<>();

    while (sent.size() < 600 || received.size() < sent.size()) {
      if (sent.size() < 600 && random.nextBoolean()) {
        List<Message> batch = randomBatch(random, 80);
        List<MessageId> ids = queue.sendAll(batch);
        for (int i = 0; i < ids.size(); i++) {
          sent.put(ids.get(i), batch.get(i).priority());
        }
      } else {
        List<Delivery> some = queue.receive(1 + random.nextInt(60));
        received.addAll(ids(some));
        queue.ackAll(some);
      }
    }

    assertThat(received).as("seed %d", seed).containsExactlyInAnyOrderElementsOf(sent.keySet());
    for (int priority = 0; priority < 10; priority++) {
      int wanted = priority;
      assertThat(received.stream().filter(id -> sent.get(id) == wanted))
          .as("seed %d, priority %d", seed, priority)
          .isSortedAccordingTo(Comparator.comparingLong(MessageId::value));
    }
    assertThat(count("message")).isZero();
  }

  @Test
  void many_senders_and_many_consumers_lose_nothing_and_get_nothing_twice() throws Exception {
    long seed = System.nanoTime();
    Set<Long> sent = ConcurrentHashMap.newKeySet();
    Map<Long, AtomicInteger> received = new ConcurrentHashMap<>();
    AtomicInteger left = new AtomicInteger(3_000);
    ExecutorService threads = Executors.newFixedThreadPool(7);
    List<Future<?>> work = new ArrayList<>();
    List<Queue> queues = List.of(queue, open(OPENED).queue("orders"));
    for (int sender = 0; sender < 3; sender++) {
      Random random = new Random(seed + sender);
      Queue out = queues.get(sender % 2);
      work.add(
          threads.submit(
              () -> {
                for (int done = 0; done < 1_000; ) {
                  List<Message> batch = randomBatch(random, Math.min(60, 1_000 - done));
                  out.sendAll(batch).forEach(id -> sent.add(id.value()));
                  done += batch.size();
                }
              }));
    }
    for (int consumer = 0; consumer < 4; consumer++) {
      Random random = new Random(seed - consumer);
      Queue in = queues.get(consumer % 2);
      work.add(
          threads.submit(
              () -> {
                while (left.get() > 0) {
                  List<Delivery> some = in.receive(1 + random.nextInt(70));
                  for (Delivery delivery : some) {
                    received
                        .computeIfAbsent(delivery.id().value(), id -> new AtomicInteger())
                        .incrementAndGet();
                  }
                  in.ackAll(some);
                  left.addAndGet(-some.size());
                }
              }));
    }
    for (Future<?> one : work) {
      one.get();
    }
    threads.shutdown();

    assertThat(sent).as("seed %d", seed).hasSize(3_000);
    assertThat(received.keySet()).as("seed %d", seed).isEqualTo(sent);
    assertThat(received.values()).allSatisfy(times -> assertThat(times).hasValue(1));
    assertThat(count("message")).isZero();
    assertThat(count("lease")).isZero();
  }

  private static List<Message> randomBatch(Random random, int atMost) {
    List<Message> batch = new ArrayList<>();
    int size = 1 + random.nextInt(atMost);
    for (int i = 0; i < size; i++) {
      int priority = random.nextInt(3) == 0 ? random.nextInt(10) : 0;
      int bytes = random.nextInt(20) == 0 ? 50_000 : random.nextInt(50);
      batch.add(Message.bytes(new byte[bytes]).withPriority(priority));
    }
    return batch;
  }

  private static List<MessageId> expectedOrder(List<MessageId> ids, List<Message> messages) {
    List<MessageId> expected = new ArrayList<>();
    for (int priority = 9; priority >= 0; priority--) {
      for (int i = 0; i < ids.size(); i++) {
        if (messages.get(i).priority() == priority) {
          expected.add(ids.get(i));
        }
      }
    }
    return expected;
  }
}
