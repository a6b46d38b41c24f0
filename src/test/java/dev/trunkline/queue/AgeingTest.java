package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class AgeingTest extends QueueFixture {
  private static final QueueConfig AGEING = CONFIG.withPriorityAgeing(Duration.ofSeconds(60));

  private void send(String text, int priority) {
    queue.send(Message.text(text).withPriority(priority));
  }

  /** As if everything that is in line had waited for so many seconds more. */
  private void pass(int seconds) {
    database.execute(
        """
        UPDATE trunkline.age_mark SET marked_at = marked_at - interval '%1$d s';
        INSERT INTO trunkline.age_mark (queue_id, marked_at, seq)
        SELECT id, clock_timestamp() - interval '%1$d s', pg_sequence_last_value('trunkline.message_id_seq')
        FROM trunkline.queue
        """
            .formatted(seconds));
  }

  /** By a process that has just been started: how long messages have waited is known to all. */
  private Queue opened() {
    return open(OPENED).queue("orders");
  }

  private List<String> drained(Queue from) {
    List<String> all = new ArrayList<>();
    Awaits.until(
        () -> {
          List<Delivery> some = from.receive(1);
          all.addAll(texts(some));
          return some.isEmpty();
        });
    return all;
  }

  @Test
  void a_message_gains_a_priority_each_time_it_has_waited_so_long() {
    queue = altered(AGEING);
    send("low, old", 0);
    send("middle, old", 3);
    pass(125);
    send("1", 1);
    send("2", 2);
    send("3", 3);
    send("9", 9);

    assertThat(drained(opened())).containsExactly("9", "middle, old", "3", "low, old", "2", "1");
  }

  @Test
  void without_ageing_priorities_are_strict_however_long_a_message_waits() {
    send("low", 0);
    pass(100_000);
    send("high", 1);

    assertThat(drained(opened())).containsExactly("high", "low");
  }

  @Test
  void what_has_waited_for_ten_levels_goes_before_everything_that_is_new() {
    queue = altered(AGEING);
    send("ancient", 0);
    pass(601);
    send("new", 9);

    assertThat(drained(opened())).containsExactly("ancient", "new");
  }

  @Test
  void the_wait_begins_anew_with_what_comes_back() {
    queue = altered(AGEING);
    send("comes back", 0);
    Delivery delivery = queue.receive(1).get(0);
    pass(601);
    delivery.release();
    send("new", 1);

    assertThat(drained(opened())).containsExactly("new", "comes back");
  }

  @Test
  void a_low_priority_is_served_while_higher_ones_keep_coming() {
    queue = altered(CONFIG.withPriorityAgeing(Duration.ofSeconds(1)));
    AtomicBoolean served = new AtomicBoolean();
    AtomicInteger others = new AtomicInteger();
    send("low", 0);
    for (int i = 0; i < 100; i++) {
      send("high", 2);
    }
    consumeUntil(
        handlers(1).withPrefetch(1),
        delivery -> {
          if (delivery.message().priority() == 0) {
            served.set(true);
          } else {
            others.incrementAndGet();
            send("high", 2);
          }
          return Outcome.ack();
        },
        served::get);
    assertThat(others.get()).isPositive();
    assertThat(queue.stats().ready()).isPositive();
  }

  @Test
  void everything_is_delivered_once_whatever_its_age_and_priority_to_consumers_in_two_processes() {
    queue = altered(AGEING);
    Random random = new Random(11);
    Set<MessageId> sent = ConcurrentHashMap.newKeySet();
    Set<MessageId> handled = ConcurrentHashMap.newKeySet();
    AtomicInteger times = new AtomicInteger();
    Handler handler =
        delivery -> {
          handled.add(delivery.id());
          times.incrementAndGet();
          return Outcome.ack();
        };
    Queue elsewhere = open(OPENED).queue("orders");
    Consumer here = null;
    Consumer there = null;
    try {
      for (int round = 0; round < 40; round++) {
        List<Message> some = new ArrayList<>();
        for (int i = 0; i < 25; i++) {
          some.add(Message.text("x").withPriority(random.nextInt(10)));
        }
        sent.addAll(queue.sendAll(some));
        pass(random.nextInt(120));
        if (round == 20) {
          here = queue.consume(handlers(2), handler);
          there = elsewhere.consume(handlers(2), handler);
        }
      }
      Awaits.until(() -> handled.size() == sent.size());
    } finally {
      if (here != null && there != null) {
        here.close();
        there.close();
      }
    }
    assertThat(handled).isEqualTo(sent);
    assertThat(times.get()).isEqualTo(sent.size());
  }

  @Test
  void bands_cover_each_lane_without_gap_or_overlap_and_stay_in_the_order_of_the_lane() {
    Random random = new Random(7);
    for (int round = 0; round < 200; round++) {
      Ageing ageing = new Ageing(1, Duration.ofSeconds(1));
      long[] marks = random.longs(Ageing.LEVELS, 0, 1_000).sorted().toArray();
      long[] descending = new long[marks.length];
      for (int i = 0; i < marks.length; i++) {
        descending[i] = marks[marks.length - 1 - i];
      }
      ageing.marked(descending);
      List<Lanes.Range> ranges = new ArrayList<>();
      for (int priority = 9; priority >= 0; priority--) {
        long straggler = random.nextInt(500);
        long frontier = straggler + 1 + random.nextInt(500);
        ranges.add(new Lanes.Range(priority, straggler, frontier - random.nextInt(1)));
        ranges.add(new Lanes.Range(priority, frontier, Long.MAX_VALUE));
      }

      List<Lanes.Range> ordered = ageing.inOrder(ranges);

      for (int priority = 0; priority < 10; priority++) {
        int lane = priority;
        List<Lanes.Range> parts = ordered.stream().filter(r -> r.priority() == lane).toList();
        long begin =
            ranges.stream().filter(r -> r.priority() == lane).findFirst().orElseThrow().from();
        for (Lanes.Range part : parts) {
          assertThat(part.from()).isEqualTo(begin);
          begin = part.to();
        }
        assertThat(begin).isEqualTo(Long.MAX_VALUE);
      }
      int level = Integer.MAX_VALUE;
      for (Lanes.Range range : ordered) {
        int own = range.priority() + waited(descending, range.from());
        assertThat(own).isLessThanOrEqualTo(level);
        level = own;
      }
    }
  }

  private static int waited(long[] descending, long place) {
    int levels = 0;
    for (long below : descending) {
      levels += place < below ? 1 : 0;
    }
    return levels;
  }
}
