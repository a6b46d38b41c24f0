package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DeduplicationTest extends QueueFixture {

  @BeforeEach
  void the_queue_deduplicates() {
    queue = altered(CONFIG.withDeduplication());
  }

  @Test
  void a_duplicate_succeeds_answers_the_first_id_and_is_not_stored_whatever_is_in_it() {
    MessageId first = queue.send(message("a", "1"));
    MessageId second = queue.send(message("another payload", "1").withPriority(5));
    MessageId other = queue.send(message("b", "2"));

    assertThat(second).isEqualTo(first).isNotEqualTo(other);
    assertThat(texts(queue.receive(10))).containsExactly("a", "b");
    assertThat(queue.stats().sent()).isEqualTo(2);
  }

  @Test
  void a_duplicate_is_known_after_the_first_was_acked_or_has_died() {
    MessageId acked = queue.send(message("a", "1"));
    MessageId dead = queue.send(message("b", "2"));
    List<Delivery> both = queue.receive(10);
    both.get(0).ack();
    both.get(1).deadLetter("no");

    assertThat(queue.send(message("a", "1"))).isEqualTo(acked);
    assertThat(queue.send(message("b", "2"))).isEqualTo(dead);
    assertThat(queue.receive(10)).isEmpty();
  }

  @Test
  void a_message_without_an_id_is_never_a_duplicate() {
    List<MessageId> ids = sendAll("a", "a", "a");

    assertThat(ids).doesNotHaveDuplicates();
    assertThat(texts(queue.receive(10))).containsExactly("a", "a", "a");
  }

  @Test
  void duplicates_in_one_call_are_found_across_its_statements_and_its_ids_are_in_order() {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < 5_000; i++) {
      messages.add(i % 3 == 2 ? Message.text("free") : message("a", String.valueOf(i % 1_000)));
    }
    messages.add(message("later", "7").withDelay(Duration.ofHours(1)));

    List<MessageId> ids = queue.sendAll(messages);

    Set<MessageId> firsts = new TreeSet<>(Comparator.comparing(MessageId::value));
    for (int i = 0; i < 5_000; i++) {
      if (i % 3 != 2 && i >= 1_000) {
        int same = i % 1_000;
        while (same % 3 == 2) {
          same += 1_000;
        }
        assertThat(ids.get(i)).as("message %d", i).isEqualTo(ids.get(same));
      } else {
        assertThat(firsts.add(ids.get(i))).as("message %d is fresh", i).isTrue();
      }
    }
    assertThat(ids.get(5_000)).isEqualTo(ids.get(7));
    assertThat(count("message")).isEqualTo(Set.copyOf(ids).size());
    assertThat(ids(queue.receive(upTo(10_000))))
        .isSortedAccordingTo(Comparator.comparing(MessageId::value))
        .hasSize(Set.copyOf(ids).size());
  }

  @Test
  void the_same_id_is_sent_anew_when_the_window_is_over() {
    queue = altered(CONFIG.withDeduplication(window(Duration.ofMillis(300))));
    MessageId first = queue.send(message("a", "1"));
    assertThat(queue.send(message("a", "1"))).isEqualTo(first);

    Awaits.until(() -> !queue.send(message("a", "1")).equals(first));

    assertThat(count("message")).isEqualTo(2);
  }

  @Test
  void the_window_begins_with_the_first_send_and_is_not_renewed_by_duplicates() {
    MessageId first = queue.send(message("a", "1"));
    String until = expiry("1");

    assertThat(queue.send(message("a", "1"))).isEqualTo(first);

    assertThat(expiry("1")).isEqualTo(until);
  }

  @Test
  void a_first_send_that_is_rolled_back_leaves_nothing_behind() throws SQLException {
    MessageId rolledBack;
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      rolledBack = queue.send(connection, message("a", "1"));
      assertThat(queue.send(connection, message("a", "1"))).isEqualTo(rolledBack);
      connection.rollback();
    }
    assertThat(database.number("SELECT count(*) FROM trunkline.dedup")).isZero();

    assertThat(queue.send(message("b", "1"))).isNotEqualTo(rolledBack);

    assertThat(texts(queue.receive(10))).containsExactly("b");
  }

  @Test
  void a_duplicate_waits_for_the_first_and_takes_its_place_if_that_is_rolled_back()
      throws SQLException, InterruptedException, ExecutionException {
    ExecutorService sender = Executors.newSingleThreadExecutor();
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      MessageId first = queue.send(connection, message("a", "1"));
      Future<MessageId> duplicate = sender.submit(() -> queue.send(message("b", "1")));
      Awaits.until(this::somebodyWaits);
      connection.commit();
      assertThat(duplicate.get()).isEqualTo(first);

      MessageId undone = queue.send(connection, message("c", "2"));
      Future<MessageId> successor = sender.submit(() -> queue.send(message("d", "2")));
      Awaits.until(this::somebodyWaits);
      connection.rollback();
      assertThat(successor.get()).isNotEqualTo(undone);
    } finally {
      sender.shutdown();
    }
    assertThat(texts(queue.receive(10))).containsExactly("a", "d");
  }

  @Test
  void of_many_that_send_the_same_at_once_one_is_stored_and_all_are_told_its_id()
      throws InterruptedException, ExecutionException {
    ConcurrentMap<Integer, Set<MessageId>> answers = new ConcurrentHashMap<>();
    Queue elsewhere = open(OPENED).queue("orders");
    inThreads(
        8,
        thread -> {
          Queue mine = thread % 2 == 0 ? queue : elsewhere;
          for (int i = 0; i < 60; i++) {
            MessageId id = mine.send(message("m" + i, String.valueOf(i)));
            answers.computeIfAbsent(i, k -> ConcurrentHashMap.newKeySet()).add(id);
          }
        });

    assertThat(answers.values()).allSatisfy(ids -> assertThat(ids).hasSize(1));
    assertThat(texts(queue.receive(1_000)))
        .containsExactlyInAnyOrderElementsOf(
            IntStream.range(0, 60).mapToObj(i -> "m" + i).toList());
  }

  @Test
  void batches_of_the_same_ids_in_other_orders_do_not_deadlock()
      throws InterruptedException, ExecutionException {
    List<String> all = IntStream.range(0, 200).mapToObj(String::valueOf).toList();
    inThreads(
        4,
        thread -> {
          Random random = new Random(thread);
          for (int round = 0; round < 15; round++) {
            List<String> shuffled = new ArrayList<>(all);
            Collections.shuffle(shuffled, random);
            int from = round;
            queue.sendAll(shuffled.stream().map(id -> message(id, from + "-" + id)).toList());
          }
        });

    assertThat(count("message")).isEqualTo(15 * 200);
  }

  @Test
  void in_the_scope_of_the_key_the_same_id_under_another_key_is_another_message() {
    queue =
        altered(
            CONFIG.withDeduplication(Deduplication.defaults().withScope(DeduplicationScope.KEY)));
    String longKey = "k".repeat(1_000);

    MessageId first = queue.send(message("a", "1").withKey("x"));
    assertThat(queue.send(message("b", "1").withKey("y"))).isNotEqualTo(first);
    assertThat(queue.send(message("c", "1").withKey("x"))).isEqualTo(first);
    MessageId under = queue.send(message("d", "1").withKey(longKey));
    assertThat(queue.send(message("e", "1").withKey(longKey))).isEqualTo(under);
    assertThat(queue.send(message("f", "1").withKey(longKey.substring(1)))).isNotEqualTo(under);

    assertThatThrownBy(() -> queue.send(message("g", "1")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("must have a key, queue \"orders\" deduplicates by key");
    assertThat(texts(queue.receive(10))).containsExactly("a", "b", "d", "f");
  }

  @Test
  void by_content_type_content_type_and_payload_count_and_an_id_of_the_senders_wins() {
    queue = altered(CONFIG.withDeduplication(Deduplication.defaults().withByContent(true)));

    MessageId first = queue.send(Message.text("a"));
    assertThat(queue.send(Message.text("a").withHeader("h", "v").withPriority(3))).isEqualTo(first);
    assertThat(queue.send(Message.text("b"))).isNotEqualTo(first);
    assertThat(queue.send(Message.text("a").withType("t"))).isNotEqualTo(first);
    assertThat(queue.send(Message.bytes(new byte[] {'a'}))).isNotEqualTo(first);
    MessageId named = queue.send(message("a", "1"));
    assertThat(named).isNotEqualTo(first);
    assertThat(queue.send(message("b", "1"))).isEqualTo(named);

    assertThat(count("message")).isEqualTo(5);
  }

  @Test
  void a_purge_forgets_and_a_deleted_queue_leaves_nothing() {
    Queue other = trunkline.queue("other", CONFIG.withDeduplication());
    MessageId kept = other.send(message("a", "1"));
    MessageId first = queue.send(message("a", "1"));
    queue.purge();

    assertThat(queue.send(message("a", "1"))).isNotEqualTo(first);
    assertThat(other.send(message("a", "1"))).isEqualTo(kept);

    queue.delete();
    other.delete();
    assertThat(database.number("SELECT count(*) FROM trunkline.dedup")).isZero();
    assertThat(count("message")).isZero();
  }

  @Test
  void a_replayed_dead_letter_is_no_duplicate() {
    MessageId first = queue.send(message("a", "1"));
    receiveOne().deadLetter("no");

    queue.deadLetters().replayAll();

    assertThat(receiveOne().id()).isEqualTo(first);
    assertThat(queue.send(message("a", "1"))).isEqualTo(first);
  }

  @Test
  void ids_whose_window_is_over_are_pruned_and_no_others() {
    queue.sendAll(
        IntStream.range(0, 2_500).mapToObj(i -> message("a", String.valueOf(i))).toList());
    database.execute(
        "UPDATE trunkline.dedup SET expires_at = now() - interval '1 s' WHERE dedup_id::integer < 2400");

    assertThat(new SendPruning(library()).prune()).isFalse();

    assertThat(database.number("SELECT count(*) FROM trunkline.dedup")).isEqualTo(100);
    assertThat(database.number("SELECT min(dedup_id::integer) FROM trunkline.dedup"))
        .isEqualTo(2_400);
    assertThat(new SendPruning(library()).prune()).isFalse();
  }

  @Test
  void a_callers_connection_in_auto_commit_mode_deduplicates_unless_it_would_be_two_transactions()
      throws SQLException {
    try (Connection connection = database.connect()) {
      MessageId first = queue.send(connection, message("a", "1"));
      assertThat(queue.send(connection, message("b", "1"))).isEqualTo(first);
      assertThat(connection.getAutoCommit()).isTrue();
    }
    try (Connection connection =
        DriverManager.getConnection(
            database.url() + (database.url().contains("?") ? "&" : "?") + "preferQueryMode=simple",
            database.user(),
            database.password())) {
      assertThatThrownBy(() -> queue.send(connection, message("c", "2")))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("preferQueryMode=simple");
      connection.setAutoCommit(false);
      queue.send(connection, message("d", "3"));
      assertThat(queue.send(connection, message("e", "1"))).isNotNull();
      connection.commit();
    }
    assertThat(texts(queue.receive(10))).containsExactly("a", "d");
  }

  @Test
  void settings_of_a_callers_transaction_are_as_they_were() throws SQLException {
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      String before = settings(connection);
      queue.send(connection, message("a", "1"));
      assertThat(settings(connection)).isEqualTo(before);
      connection.commit();
      assertThat(settings(connection)).isEqualTo(before);
    }
  }

  @Test
  void an_id_is_refused_where_nobody_looks_at_it_and_so_is_nonsense() {
    Queue plain = trunkline.queue("plain", CONFIG);

    assertThatThrownBy(() -> plain.send(message("a", "once")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "message must not have a deduplication id, queue \"plain\" does not deduplicate: once");
    assertThatThrownBy(() -> message("a", ""))
        .hasMessage("deduplicationId must have 1 to 200 characters: \"\"");
    assertThatThrownBy(() -> message("a", "x".repeat(201)))
        .hasMessage("deduplicationId must have 1 to 200 characters: 201");
    assertThatThrownBy(() -> window(Duration.ZERO))
        .hasMessage("window must be between 1 ms and 365 days: PT0S");
    assertThatThrownBy(() -> window(Duration.ofDays(366)))
        .hasMessage("window must be between 1 ms and 365 days: PT8784H");
    assertThatThrownBy(() -> CONFIG.withDeduplication().withTimeToLive(Duration.ofMinutes(1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("window of the deduplication must not be longer than timeToLive, PT1M: PT5M");
  }

  private static Message message(String text, String deduplicationId) {
    return Message.text(text).withDeduplicationId(deduplicationId);
  }

  private static Deduplication window(Duration window) {
    return Deduplication.defaults().withWindow(window);
  }

  private String expiry(String deduplicationId) {
    return database.text(
        "SELECT expires_at FROM trunkline.dedup WHERE dedup_id = '%s'".formatted(deduplicationId));
  }

  private boolean somebodyWaits() {
    return database.number(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        > 0;
  }

  private static String settings(Connection connection) throws SQLException {
    try (var statement = connection.createStatement();
        var rows =
            statement.executeQuery(
                "SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings WHERE name IN"
                    + " ('synchronous_commit','enable_seqscan','enable_bitmapscan','plan_cache_mode','jit')")) {
      rows.next();
      return rows.getString(1);
    }
  }

  private interface Work {
    void in(int thread);
  }

  private static void inThreads(int count, Work work)
      throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    try {
      List<Future<?>> all =
          IntStream.range(0, count)
              .mapToObj(i -> threads.submit(() -> work.in(i)))
              .collect(Collectors.toList());
      for (Future<?> one : all) {
        one.get();
      }
    } finally {
      threads.shutdown();
    }
  }
}
