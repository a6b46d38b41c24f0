package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.RepeatedTest;

/**
 * Random interleavings of senders in open transactions, rollbacks, claims, settles, the reaper,
 * what is taken back, put off, expired or replayed: step by step against a model, and with threads
 * that do what they like.
 */
class KeyedModelTest extends QueueFixture {
  private static final int STEPS = 250;
  private static final int KEYS = 4;
  private static final int SENDERS = 4;

  /** A sender's transaction that has not ended. */
  private record Open(Connection connection, List<Map.Entry<String, Long>> sent) {}

  private final Map<String, TreeSet<Long>> waiting = new TreeMap<>();
  private final Map<String, List<Delivery>> held = new LinkedHashMap<>();
  private final Map<Long, String> putOff = new TreeMap<>();
  private final Map<Long, String> dead = new TreeMap<>();
  private final Set<Long> mortal = new HashSet<>();
  private final List<Open> senders = new ArrayList<>();
  private Queue fifo;

  @RepeatedTest(4)
  void each_claim_gets_the_first_of_what_waits_of_keys_that_nobody_holds() throws SQLException {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    fifo = trunkline.queue("fifo", CONFIG.withFifoByKey(FailurePolicy.BLOCK));
    try {
      for (int step = 0; step < STEPS; step++) {
        step(random, "seed " + seed + ", step " + step);
      }
      while (!senders.isEmpty()) {
        end(senders.remove(0), true);
      }
      drain("seed " + seed);
    } finally {
      for (Open open : senders) {
        open.connection().close();
      }
    }
  }

  private void step(Random random, String what) throws SQLException {
    int dice = random.nextInt(100);
    if (dice < 22) {
      send(random);
    } else if (dice < 36) {
      sendInOpenTransaction(random);
    } else if (dice < 47 && !senders.isEmpty()) {
      end(senders.remove(random.nextInt(senders.size())), random.nextInt(3) > 0);
    } else if (dice < 67) {
      receive(1 + random.nextInt(6), what);
    } else if (dice < 86) {
      settleSome(random);
    } else if (dice < 91) {
      recall(random, what);
    } else if (dice < 92) {
      advance();
    } else if (dice < 93) {
      promoteAll();
      backInLine(putOff);
    } else if (dice < 95) {
      fifo.deadLetters().replayAll();
      backInLine(dead);
    } else if (dice < 97) {
      expire();
    } else if (dice < 99) {
      expireAll();
      held.forEach((key, some) -> some.forEach(d -> waiting.get(key).add(d.id().value())));
      held.clear();
    } else {
      fifo.purge();
      waiting.values().forEach(TreeSet::clear);
      held.clear();
      putOff.clear();
    }
  }

  private static String key(Random random) {
    return "key-" + random.nextInt(KEYS);
  }

  private void send(Random random) {
    List<Message> messages = new ArrayList<>();
    for (int i = 1 + random.nextInt(3); i > 0; i--) {
      Message message = Message.text("m").withKey(key(random));
      messages.add(random.nextInt(4) == 0 ? message.withTimeToLive(Duration.ofHours(1)) : message);
    }
    List<MessageId> ids = fifo.sendAll(messages);
    for (int i = 0; i < ids.size(); i++) {
      committed(messages.get(i).key().orElseThrow(), ids.get(i).value());
      if (messages.get(i).timeToLive().isPresent()) {
        mortal.add(ids.get(i).value());
      }
    }
  }

  /** Anywhere: in the middle of its key, in a lease, put off already. */
  private void recall(Random random, String what) {
    String key = key(random);
    TreeSet<Long> line = waiting.computeIfAbsent(key, k -> new TreeSet<>());
    List<Long> ids = new ArrayList<>(line);
    held.getOrDefault(key, List.of()).forEach(delivery -> ids.add(delivery.id().value()));
    ids.addAll(putOff.keySet());
    if (ids.isEmpty()) {
      return;
    }
    long id = ids.get(random.nextInt(ids.size()));
    boolean inTime = line.contains(id) || putOff.containsKey(id);
    if (random.nextBoolean()) {
      assertThat(fifo.cancel(new MessageId(id)))
          .as("%s: cancel", what)
          .isEqualTo(inTime ? Cancellation.CANCELLED : Cancellation.TOO_LATE);
      line.remove(id);
      putOff.remove(id);
    } else {
      assertThat(fifo.reschedule(new MessageId(id), Duration.ofHours(3)))
          .as("%s: reschedule", what)
          .isEqualTo(inTime ? Rescheduling.RESCHEDULED : Rescheduling.TOO_LATE);
      if (line.remove(id)) {
        putOff.put(id, key);
      }
    }
  }

  /** Finds out where lines begin, as claims of long ones do: of all keys that nobody sends to. */
  private void advance() {
    long[] leases =
        held.values().stream().mapToLong(some -> some.get(0).lease().id()).distinct().toArray();
    library().run(session -> KeyStore.advance(session, leases));
  }

  private void backInLine(Map<Long, String> messages) {
    messages.forEach((id, key) -> committed(key, id));
    messages.clear();
  }

  /** Of those that have a time to live, all that wait. */
  private void expire() {
    sweeper().sweep(Instant.now().plus(Duration.ofHours(2)));
    waiting.values().forEach(line -> line.removeAll(mortal));
    putOff.keySet().removeAll(mortal);
  }

  private void committed(String key, long id) {
    waiting.computeIfAbsent(key, k -> new TreeSet<>()).add(id);
  }

  private void sendInOpenTransaction(Random random) throws SQLException {
    if (senders.size() < SENDERS) {
      Connection connection = database.connect();
      connection.setAutoCommit(false);
      if (random.nextInt(3) == 0) {
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      }
      senders.add(new Open(connection, new ArrayList<>()));
    }
    Open open = senders.get(random.nextInt(senders.size()));
    String key = key(random);
    MessageId id = fifo.send(open.connection(), Message.text("m").withKey(key));
    open.sent().add(Map.entry(key, id.value()));
  }

  private void end(Open open, boolean commit) throws SQLException {
    try (Connection connection = open.connection()) {
      if (commit) {
        connection.commit();
        open.sent().forEach(sent -> committed(sent.getKey(), sent.getValue()));
      } else {
        connection.rollback();
      }
    }
  }

  private int receive(int wanted, String what) {
    Map<String, List<Delivery>> received =
        fifo.receive(wanted).stream()
            .collect(
                Collectors.groupingBy(
                    d -> d.message().key().orElseThrow(), LinkedHashMap::new, Collectors.toList()));
    received.forEach(
        (key, some) -> {
          assertThat(held).as("%s: held", what).doesNotContainKey(key);
          List<Long> ids = some.stream().map(d -> d.id().value()).toList();
          List<Long> first = waiting.get(key).stream().limit(ids.size()).toList();
          assertThat(ids).as("%s: %s", what, key).isEqualTo(first);
          waiting.get(key).removeAll(ids);
          held.put(key, new ArrayList<>(some));
        });
    return received.size();
  }

  private void settleSome(Random random) {
    if (held.isEmpty()) {
      return;
    }
    String key = new ArrayList<>(held.keySet()).get(random.nextInt(held.size()));
    List<Delivery> some = held.get(key);
    Delivery delivery = some.remove(random.nextInt(some.size()));
    if (some.isEmpty()) {
      held.remove(key);
    }
    switch (random.nextInt(5)) {
      case 0, 1 -> delivery.ack();
      case 2 -> {
        delivery.retry();
        waiting.get(key).add(delivery.id().value());
      }
      case 3 -> {
        delivery.release();
        waiting.get(key).add(delivery.id().value());
      }
      default -> {
        delivery.deadLetter("by lot");
        dead.put(delivery.id().value(), key);
      }
    }
  }

  private void drain(String what) {
    promoteAll();
    backInLine(putOff);
    Awaits.until(
        () -> {
          held.values().forEach(some -> some.forEach(Delivery::ack));
          held.clear();
          receive(100, what);
          return held.isEmpty() && waiting.values().stream().allMatch(TreeSet::isEmpty);
        });
    assertThat(count("message")).as(what).isZero();
  }

  @RepeatedTest(2)
  void threads_that_do_what_they_like_neither_lose_nor_reorder() throws Exception {
    long seed = System.nanoTime();
    fifo = trunkline.queue("fifo", CONFIG.withFifoByKey(FailurePolicy.BLOCK));
    Map<String, List<Long>> sent = new ConcurrentHashMap<>();
    Map<String, List<Long>> acked = new ConcurrentHashMap<>();
    Map<String, AtomicInteger> inHand = new ConcurrentHashMap<>();
    List<String> overlaps = new CopyOnWriteArrayList<>();
    AtomicBoolean allSent = new AtomicBoolean();
    ExecutorService threads = Executors.newCachedThreadPool();
    List<Future<?>> sending = new ArrayList<>();
    List<Future<?>> receiving = new ArrayList<>();
    for (int i = 0; i < SENDERS; i++) {
      Random random = new Random(seed + i);
      String own = "own-" + i;
      sending.add(threads.submit(() -> sendFor(random, own, sent)));
    }
    Trunkline another = open(OPENED);
    for (int i = 0; i < 4; i++) {
      Random random = new Random(seed * 31 + i);
      Queue from = i % 2 == 0 ? fifo : another.queue("fifo");
      receiving.add(
          threads.submit(
              () -> {
                while (!allSent.get() || count("message") > 0) {
                  receiveFor(random, from, acked, inHand, overlaps);
                }
              }));
    }
    // All the time, so that it happens between any two steps of the others.
    receiving.add(
        threads.submit(
            () -> {
              while (!allSent.get() || count("message") > 0) {
                advanceAll();
              }
            }));
    for (Future<?> sender : sending) {
      sender.get();
    }
    allSent.set(true);
    for (Future<?> receiver : receiving) {
      receiver.get();
    }
    threads.shutdown();

    assertThat(overlaps).as("seed %d: held twice", seed).isEmpty();
    sent.forEach(
        (key, ids) -> {
          List<Long> done = acked.getOrDefault(key, List.of());
          if (key.startsWith("own")) {
            assertThat(done).as("seed %d: %s", seed, key).isEqualTo(ids);
          } else {
            assertThat(done).as("seed %d: %s", seed, key).containsExactlyInAnyOrderElementsOf(ids);
          }
        });
  }

  private void advanceAll() {
    long[] leases =
        database.texts("SELECT id::text FROM trunkline.lease").stream()
            .mapToLong(Long::parseLong)
            .toArray();
    library().run(session -> KeyStore.advance(session, leases));
  }

  /** To a key of its own, in order, and to one that all senders share. */
  private Void sendFor(Random random, String own, Map<String, List<Long>> sent)
      throws SQLException {
    try (Connection connection = database.connect()) {
      for (int i = 0; i < 150; i++) {
        String key = random.nextInt(4) == 0 ? "shared" : own;
        Message message = Message.text("m").withKey(key);
        if (random.nextBoolean()) {
          remember(sent, key, fifo.send(message));
          continue;
        }
        connection.setAutoCommit(false);
        connection.setTransactionIsolation(
            random.nextInt(4) == 0
                ? Connection.TRANSACTION_REPEATABLE_READ
                : Connection.TRANSACTION_READ_COMMITTED);
        MessageId id = fifo.send(connection, message);
        if (random.nextInt(3) == 0) {
          connection
              .createStatement()
              .execute("SELECT pg_sleep(%s)".formatted(random.nextInt(20) / 1000.0));
        }
        if (random.nextInt(4) == 0) {
          connection.rollback();
        } else {
          connection.commit();
          remember(sent, key, id);
        }
      }
    }
    return null;
  }

  private static void remember(Map<String, List<Long>> sent, String key, MessageId id) {
    sent.computeIfAbsent(key, k -> Collections.synchronizedList(new ArrayList<>())).add(id.value());
  }

  private void receiveFor(
      Random random,
      Queue from,
      Map<String, List<Long>> acked,
      Map<String, AtomicInteger> inHand,
      List<String> overlaps) {
    List<Delivery> received =
        from.receive(upTo(1 + random.nextInt(10)).withMaxWait(Duration.ofMillis(20)));
    Map<String, List<Delivery>> byKey =
        received.stream().collect(Collectors.groupingBy(d -> d.message().key().orElseThrow()));
    byKey.forEach(
        (key, some) -> {
          AtomicInteger holders = inHand.computeIfAbsent(key, k -> new AtomicInteger());
          if (holders.incrementAndGet() > 1) {
            overlaps.add(key);
          }
        });
    byKey.forEach(
        (key, some) -> {
          boolean failed = false;
          for (int i = 0; i < some.size(); i++) {
            Delivery delivery = some.get(i);
            failed |= random.nextInt(6) == 0;
            if (i == some.size() - 1) {
              inHand.get(key).decrementAndGet();
            }
            if (!failed) {
              acked
                  .computeIfAbsent(key, k -> Collections.synchronizedList(new ArrayList<>()))
                  .add(delivery.id().value());
              delivery.ack();
            } else if (random.nextBoolean()) {
              delivery.retry();
            } else {
              delivery.release();
            }
          }
        });
  }
}
