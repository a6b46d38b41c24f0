package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.RepeatedTest;

/**
 * Random steps against a model of one line per message: each message is in exactly one state, with
 * the model's counts, after each step.
 */
class SettleModelTest extends QueueFixture {
  private static final int STEPS = 120;
  private static final int LIMIT = 4;

  /** What the model knows of a message. */
  private static final class Known {
    String state = "ready";
    int deliveries;
    int acquired;

    void back(String to, boolean counts) {
      deliveries += counts ? 1 : 0;
      if (counts && deliveries >= LIMIT) {
        state = "dead";
      } else {
        state = to;
      }
    }

    @Override
    public String toString() {
      return state + " " + deliveries + "/" + acquired;
    }
  }

  private final Map<Long, Known> model = new TreeMap<>();
  private final List<Delivery> held = new ArrayList<>();
  private final List<Delivery> lost = new ArrayList<>();

  @RepeatedTest(3)
  void each_message_is_in_one_state_after_every_step() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    queue = altered(CONFIG.withMaxDeliveries(LIMIT));

    for (int step = 0; step < STEPS; step++) {
      String done = step(random);
      assertThat(stored()).as("seed %d, step %d: %s", seed, step, done).isEqualTo(expected());
    }
  }

  private String step(Random random) {
    int dice = random.nextInt(100);
    if (dice < 15) {
      return send(random);
    } else if (dice < 40) {
      return receive(random);
    } else if (dice < 75) {
      return settleSome(random);
    } else if (dice < 82) {
      return settleLost(random);
    } else if (dice < 87) {
      return extendOne(random);
    } else if (dice < 91) {
      expireAll();
      lose("ready", true);
      return "expire";
    } else if (dice < 96) {
      promoteAll();
      model.values().stream()
          .filter(m -> m.state.equals("scheduled"))
          .forEach(m -> m.state = "ready");
      return "promote";
    } else if (dice < 99) {
      queue.deadLetters().replayAll();
      for (Known known : model.values()) {
        if (known.state.equals("dead")) {
          known.state = "ready";
          known.deliveries = 0;
          known.acquired = 0;
        }
      }
      return "replay";
    }
    queue.purge();
    model.values().removeIf(known -> !known.state.equals("dead"));
    lost.addAll(held);
    held.clear();
    return "purge";
  }

  private String send(Random random) {
    List<Message> messages = new ArrayList<>();
    int count = 1 + random.nextInt(40);
    for (int i = 0; i < count; i++) {
      Message message = Message.text("m").withPriority(random.nextInt(3));
      messages.add(random.nextInt(8) == 0 ? message.withDelay(Duration.ofDays(1)) : message);
    }
    var ids = queue.sendAll(messages);
    for (int i = 0; i < count; i++) {
      Known known = new Known();
      known.state = messages.get(i).delay().isPresent() ? "scheduled" : "ready";
      model.put(ids.get(i).value(), known);
    }
    return "send " + count;
  }

  private String receive(Random random) {
    int wanted = 1 + random.nextInt(45);
    List<Delivery> received = queue.receive(wanted);
    long ready = model.values().stream().filter(m -> m.state.equals("ready")).count();
    assertThat(received)
        .as("of %d ready, %d wanted", ready, wanted)
        .hasSize((int) Math.min(ready, wanted));
    for (Delivery delivery : received) {
      Known known = known(delivery);
      known.acquired++;
      known.state = "lease";
      assertThat(delivery.attempt()).isEqualTo(known.deliveries + 1);
      assertThat(delivery.acquired()).isEqualTo(known.acquired);
      held.add(delivery);
    }
    return "receive " + wanted;
  }

  private String settleSome(Random random) {
    StringBuilder done = new StringBuilder("settle");
    List<Delivery> acks = new ArrayList<>();
    int count = Math.min(held.size(), 1 + random.nextInt(12));
    for (int i = 0; i < count; i++) {
      Delivery delivery = held.remove(random.nextInt(held.size()));
      int way = random.nextInt(6);
      done.append(' ').append(delivery.id()).append(" by ").append(way);
      Known known = known(delivery);
      switch (way) {
        case 0, 1 -> acks.add(delivery);
        case 2 -> {
          delivery.retry();
          known.back("ready", true);
        }
        case 3 -> {
          delivery.retry(Duration.ofDays(1));
          known.back("scheduled", true);
        }
        case 4 -> {
          delivery.release();
          known.back("ready", false);
        }
        default -> {
          delivery.deadLetter("no");
          known.deliveries++;
          known.state = "dead";
        }
      }
    }
    queue.ackAll(acks);
    acks.forEach(delivery -> model.remove(delivery.id().value()));
    return done.toString();
  }

  private String settleLost(Random random) {
    if (lost.isEmpty()) {
      return "nothing";
    }
    Delivery late = lost.remove(random.nextInt(lost.size()));
    try {
      late.settle(random.nextBoolean() ? Outcome.ack() : Outcome.retry());
      throw new AssertionError("settled, although it was lost: " + late);
    } catch (LeaseLostException e) {
      return "late " + late.id();
    }
  }

  private String extendOne(Random random) {
    if (held.isEmpty()) {
      return "nothing";
    }
    Delivery delivery = held.get(random.nextInt(held.size()));
    delivery.extend(Duration.ofHours(1));
    return "extend " + delivery.id();
  }

  private void lose(String to, boolean counts) {
    held.forEach(delivery -> known(delivery).back(to, counts));
    lost.addAll(held);
    held.clear();
  }

  private Known known(Delivery delivery) {
    Known known = model.get(delivery.id().value());
    if (known == null) {
      throw new AssertionError("delivered, although it is gone: " + delivery);
    }
    return known;
  }

  private Map<Long, String> expected() {
    Map<Long, String> expected = new TreeMap<>();
    model.forEach((id, known) -> expected.put(id, known.toString()));
    return expected;
  }

  /** All places a message can be in; one that stands in two fails by the number of rows. */
  private Map<Long, String> stored() {
    Map<Long, String> stored = new TreeMap<>();
    database
        .rows(
            """
            SELECT u.id, 'ready', coalesce(u.d, 0), coalesce(u.a, 0)
            FROM trunkline.ready r, unnest(r.ids, r.deliveries, r.acquired) AS u(id, d, a)
            UNION ALL
            SELECT id, 'scheduled', deliveries, acquired FROM trunkline.scheduled
            UNION ALL
            SELECT u.id, 'lease', u.d, u.a
            FROM trunkline.lease l, unnest(l.ids, l.deliveries, l.acquired) AS u(id, d, a)
            UNION ALL
            SELECT message_id, 'dead', deliveries, acquired FROM trunkline.dead_letter
            """)
        .forEach(
            row ->
                stored.merge(
                    (Long) row.get(0),
                    row.get(1) + " " + row.get(2) + "/" + row.get(3),
                    (a, b) -> a + " and " + b));
    return stored;
  }
}
