package dev.trunkline.deadletter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.ReceiveOptions;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class DeadLettersTest {
  private TestDatabase database;
  private Trunkline trunkline;
  private Queue queue;
  private DeadLetters deadLetters;

  @BeforeEach
  void declare_the_queue() {
    trunkline =
        Trunkline.open(
            database.dataSource(), TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF));
    queue = trunkline.queue("orders", QueueConfig.defaults());
    deadLetters = queue.deadLetters();
  }

  @AfterEach
  void close() {
    trunkline.close();
  }

  /** So many messages, dead in the order of their ids. */
  private List<MessageId> die(int count) {
    List<MessageId> ids =
        queue.sendAll(IntStream.range(0, count).mapToObj(i -> Message.text("m" + i)).toList());
    Consumer consumer = queue.consume(delivery -> dev.trunkline.message.Outcome.deadLetter("no"));
    try {
      Awaits.until(() -> queue.stats().dead() == count);
    } finally {
      consumer.close();
    }
    return ids;
  }

  private void dieOne(Message message, String detail) {
    queue.send(message);
    queue.receive(1).get(0).deadLetter(detail);
  }

  @Test
  void a_dead_letter_has_everything_the_message_had() {
    Instant before = Instant.now().minusSeconds(60);
    MessageId id =
        queue.send(
            Message.bytes(new byte[] {0, 1, (byte) 0xff})
                .withKey("k")
                .withType("t")
                .withContentType("c")
                .withHeaders(Map.of("a,", "\"{}\\"))
                .withPriority(7));
    queue.receive(1).get(0).release();
    queue.receive(1).get(0).deadLetter("why");

    DeadLetter letter = deadLetters.browse(1).get(0);

    assertThat(letter.messageId()).isEqualTo(id);
    assertThat(letter.queue()).isEqualTo("orders");
    assertThat(letter.message().payload()).containsExactly(0, 1, 0xff);
    assertThat(letter.message().key()).contains("k");
    assertThat(letter.message().type()).contains("t");
    assertThat(letter.message().contentType()).contains("c");
    assertThat(letter.message().headers()).isEqualTo(Map.of("a,", "\"{}\\"));
    assertThat(letter.message().priority()).isEqualTo(7);
    assertThat(letter.reason()).isEqualTo(DeathReason.REJECTED);
    assertThat(letter.detail()).contains("why");
    assertThat(letter.deliveries()).isEqualTo(1);
    assertThat(letter.acquired()).isEqualTo(2);
    assertThat(letter.replays()).isZero();
    assertThat(letter.history()).isEqualTo("[]");
    assertThat(letter.enqueuedAt()).isBetween(before, letter.diedAt());
  }

  @Test
  void they_are_browsed_page_by_page_oldest_first() {
    List<MessageId> ids = die(25);
    queue.send(Message.text("alive"));
    trunkline.queue("other", QueueConfig.defaults());

    List<MessageId> seen = new ArrayList<>();
    long after = 0;
    List<Integer> pages = new ArrayList<>();
    for (List<DeadLetter> page = deadLetters.browse(10);
        !page.isEmpty();
        page = deadLetters.browse(after, 10)) {
      pages.add(page.size());
      page.forEach(letter -> seen.add(letter.messageId()));
      after = page.get(page.size() - 1).id();
    }

    assertThat(pages).containsExactly(10, 10, 5);
    assertThat(seen).containsExactlyInAnyOrderElementsOf(ids);
    assertThat(trunkline.queue("other").deadLetters().browse(10)).isEmpty();
  }

  @Test
  void one_is_found_by_its_id_in_its_own_queue_only() {
    die(3);
    DeadLetter second = deadLetters.browse(3).get(1);

    assertThat(deadLetters.find(second.id()).orElseThrow().messageId())
        .isEqualTo(second.messageId());
    assertThat(deadLetters.find(second.id() + 100)).isEmpty();
    assertThat(deadLetters.find(0)).isEmpty();
    assertThat(deadLetters.find(Long.MIN_VALUE)).isEmpty();
    assertThat(deadLetters.find(Long.MAX_VALUE)).isEmpty();
    Queue other = trunkline.queue("other", QueueConfig.defaults());
    assertThat(other.deadLetters().find(second.id())).isEmpty();
  }

  @Test
  void a_replayed_message_is_the_same_with_attempts_from_zero_and_its_death_in_its_history()
      throws Exception {
    MessageId id = queue.send(Message.text("a").withKey("k").withHeader("h", "v").withPriority(3));
    queue.receive(1).get(0).retry(Duration.ZERO);
    queue.receive(1).get(0).deadLetter("first \"death\"");
    DeadLetter first = deadLetters.browse(1).get(0);

    assertThat(deadLetters.replay(List.of(first.id()))).isEqualTo(1);

    assertThat(deadLetters.browse(10)).isEmpty();
    Delivery again = queue.receive(1).get(0);
    assertThat(again.id()).isEqualTo(id);
    assertThat(again.attempt()).isEqualTo(1);
    assertThat(again.acquired()).isEqualTo(1);
    assertThat(again.message().text()).isEqualTo("a");
    assertThat(again.message().key()).contains("k");
    assertThat(again.message().headers()).isEqualTo(Map.of("h", "v"));
    assertThat(again.message().priority()).isEqualTo(3);
    assertThat(again.enqueuedAt()).isEqualTo(first.enqueuedAt());
    again.deadLetter("second");
    DeadLetter second = deadLetters.browse(1).get(0);
    assertThat(second.messageId()).isEqualTo(id);
    assertThat(second.replays()).isEqualTo(1);
    JsonNode history = new ObjectMapper().readTree(second.history());
    assertThat(history).hasSize(1);
    assertThat(history.get(0).get("reason").asText()).isEqualTo("REJECTED");
    assertThat(history.get(0).get("detail").asText()).isEqualTo("first \"death\"");
    assertThat(history.get(0).get("deliveries").asInt()).isEqualTo(2);
    assertThat(history.get(0).get("acquired").asInt()).isEqualTo(2);
    assertThat(Instant.parse(history.get(0).get("diedAt").asText().replace("+05:30", "Z")))
        .isNotNull();

    deadLetters.replayAll();
    queue.receive(1).get(0).deadLetter("third");
    JsonNode longer = new ObjectMapper().readTree(deadLetters.browse(1).get(0).history());
    assertThat(longer).hasSize(2);
    assertThat(longer.get(0).get("detail").asText()).as("newest first").isEqualTo("second");
  }

  @Test
  void a_replayed_message_goes_to_the_end_of_its_line() {
    dieOne(Message.text("dead"), "no");
    queue.send(Message.text("waits"));

    deadLetters.replayAll();

    assertThat(queue.receive(10).stream().map(d -> d.message().text()))
        .containsExactly("waits", "dead");
  }

  @Test
  void all_are_replayed_in_steps_and_only_those_that_are_dead() {
    List<MessageId> ids = die(1_250);
    queue.send(Message.text("alive"));

    assertThat(deadLetters.replayAll()).isEqualTo(1_250);
    assertThat(deadLetters.replayAll()).isZero();

    assertThat(queue.stats().dead()).isZero();
    assertThat(queue.stats().ready()).isEqualTo(1_251);
    assertThat(
            queue.receive(ReceiveOptions.defaults().withMaxMessages(2_000)).stream()
                .map(Delivery::id))
        .containsAll(ids);
  }

  @Test
  void replaying_twice_what_is_gone_or_what_never_was_does_nothing() {
    die(3);
    List<Long> ids = deadLetters.browse(10).stream().map(DeadLetter::id).toList();
    List<Long> twice = new ArrayList<>(ids);
    twice.addAll(ids);
    twice.add(-1L);
    twice.add(Long.MAX_VALUE);

    assertThat(deadLetters.replay(twice)).isEqualTo(3);
    assertThat(deadLetters.replay(ids)).isZero();
    assertThat(deadLetters.replay(List.of())).isZero();

    assertThat(queue.stats().ready()).isEqualTo(3);
  }

  @Test
  void two_who_replay_at_once_replay_each_letter_once() throws Exception {
    List<MessageId> dead = die(800);
    CyclicBarrier barrier = new CyclicBarrier(2);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    List<Future<Integer>> replays = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      replays.add(
          threads.submit(
              () -> {
                barrier.await();
                return deadLetters.replayAll();
              }));
    }
    int replayed = replays.get(0).get() + replays.get(1).get() + deadLetters.replayAll();
    threads.shutdown();

    assertThat(replayed).isEqualTo(800);
    assertThat(
            queue.receive(ReceiveOptions.defaults().withMaxMessages(2_000)).stream()
                .map(Delivery::id))
        .containsExactlyInAnyOrderElementsOf(dead);
  }

  @Test
  void a_waiting_consumer_gets_what_is_replayed() {
    dieOne(Message.text("a"), "no");
    List<String> handled = Collections.synchronizedList(new ArrayList<>());
    Consumer consumer =
        queue.consume(
            delivery -> {
              handled.add(delivery.message().text());
              return dev.trunkline.message.Outcome.ack();
            });
    try {
      deadLetters.replayAll();
      Awaits.until(() -> handled.size() == 1);
    } finally {
      consumer.close();
    }
  }

  @Test
  void what_is_purged_is_gone_for_good() {
    die(1_100);
    List<Long> some = deadLetters.browse(10).stream().map(DeadLetter::id).toList();

    assertThat(deadLetters.purge(some)).isEqualTo(10);
    assertThat(deadLetters.purge(some)).isZero();
    assertThat(queue.stats().dead()).isEqualTo(1_090);
    assertThat(deadLetters.purge()).isEqualTo(1_090);

    assertThat(queue.stats().dead()).isZero();
    assertThat(deadLetters.browse(10)).isEmpty();
    assertThat(deadLetters.replay(some)).isZero();
  }

  @Test
  void another_queues_letters_are_neither_replayed_nor_purged() {
    dieOne(Message.text("a"), "no");
    long id = deadLetters.browse(1).get(0).id();
    DeadLetters others = trunkline.queue("other", QueueConfig.defaults()).deadLetters();

    assertThat(others.replay(List.of(id))).isZero();
    assertThat(others.replayAll()).isZero();
    assertThat(others.purge(List.of(id))).isZero();
    assertThat(others.purge()).isZero();
    assertThat(deadLetters.browse(10)).hasSize(1);
  }

  @Test
  void an_exception_that_cannot_be_stored_as_it_is_is_stored_as_well_as_can_be() {
    queue.send(Message.text("a"));
    Consumer consumer =
        queue.consume(
            dev.trunkline.queue.ConsumerConfig.defaults()
                .withNonRetryable(java.util.Set.of(IllegalStateException.class)),
            delivery -> {
              throw new IllegalStateException("nul \0, half \ud800, " + "x".repeat(100_000));
            });
    try {
      Awaits.until(() -> queue.stats().dead() == 1);
    } finally {
      consumer.close();
    }

    DeathError error = deadLetters.browse(1).get(0).error().orElseThrow();
    assertThat(error.message()).startsWith("nul \\0, half ").hasSize(DeathError.MAX_MESSAGE_CHARS);
    assertThat(error.stack()).hasSize(DeathError.MAX_STACK_CHARS);
  }

  @Test
  void the_view_is_readable_whatever_the_payload_is() {
    dieOne(Message.text("plain, größer").withKey("k").withHeader("h", "v"), "why");
    dieOne(Message.json(Map.of("id", 7)), "why");
    dieOne(Message.bytes(new byte[] {0, 'a', (byte) 0xff}), "why");
    dieOne(Message.bytes(new byte[0]), "why");

    assertThat(database.texts("SELECT payload FROM trunkline.dead_letters ORDER BY id"))
        .containsExactly("plain, größer", "{\"id\":7}", "\\000a\\377", "");
    assertThat(
            database.rows(
                "SELECT queue, reason, error, deliveries, acquired, replays, key, headers ->> 'h', detail FROM trunkline.dead_letters WHERE key = 'k'"))
        .containsExactly(List.of("orders", "REJECTED", "why", 1, 1, 0, "k", "v", "why"));
  }

  @Test
  void psql_may_redrive_some_or_all_and_purge() {
    die(10);
    List<Long> ids = deadLetters.browse(10).stream().map(DeadLetter::id).toList();

    assertThat(
            database.number(
                "SELECT trunkline.redrive('orders', ARRAY[?::bigint, ?::bigint])",
                ids.get(4),
                ids.get(5)))
        .isEqualTo(2);
    assertThat(database.number("SELECT trunkline.redrive('orders', max_letters => 3)"))
        .isEqualTo(3);
    assertThat(deadLetters.browse(10))
        .extracting(DeadLetter::id)
        .isEqualTo(
            ids.subList(3, 10).stream()
                .filter(id -> !id.equals(ids.get(4)) && !id.equals(ids.get(5)))
                .toList());
    assertThat(
            database.number(
                "SELECT trunkline.purge_dead_letters('orders', ARRAY[?::bigint])", ids.get(9)))
        .isEqualTo(1);
    assertThat(database.number("SELECT trunkline.purge_dead_letters('orders')")).isEqualTo(4);
    assertThat(database.number("SELECT trunkline.redrive('orders')")).isZero();

    assertThat(queue.stats().dead()).isZero();
    assertThat(queue.stats().ready()).isEqualTo(5);
    assertThat(queue.receive(10)).hasSize(5).allSatisfy(d -> assertThat(d.attempt()).isEqualTo(1));
  }

  @Test
  void psql_is_told_when_there_is_no_such_queue() {
    assertThatThrownBy(() -> database.number("SELECT trunkline.redrive('nowhere')"))
        .hasMessageContaining("queue \"nowhere\" does not exist");
    assertThat(database.number("SELECT trunkline.purge_dead_letters('nowhere')")).isZero();
  }
}
