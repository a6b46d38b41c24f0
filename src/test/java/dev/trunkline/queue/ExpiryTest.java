package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import dev.trunkline.topic.TopicConfig;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ExpiryTest extends QueueFixture {
  private static final Duration HOUR = Duration.ofHours(1);

  @Test
  void what_has_expired_in_line_is_dropped_by_the_claim_and_never_handed_out() {
    List<MessageId> ids = sendNumbers(6);
    expire(ids.get(0), ids.get(3), ids.get(5));

    assertThat(texts(queue.receive(10))).containsExactly("1", "2", "4");

    assertThat(queue.stats().expired()).isEqualTo(3);
    assertThat(queue.stats().inFlight()).isEqualTo(3);
    assertThat(queue.stats().dead()).isZero();
    assertThat(count("message")).isEqualTo(3);
  }

  @Test
  void a_receive_finds_what_is_alive_behind_any_number_of_expired_ones() {
    List<MessageId> ids = sendNumbers(600);
    expire(ids.subList(0, 590).toArray(MessageId[]::new));

    assertThat(texts(queue.receive(10)))
        .containsExactlyElementsOf(IntStream.range(590, 600).mapToObj(String::valueOf).toList());
    assertThat(queue.stats().expired()).isEqualTo(590);
  }

  @Test
  void at_most_once_hands_out_no_expired_ones_and_makes_them_dead_letters_if_the_queue_says_so() {
    queue = altered(CONFIG.withTimeToLive(HOUR, ExpiredMessages.DEAD_LETTER));
    List<MessageId> ids = sendNumbers(4);
    expire(ids.get(1), ids.get(2));

    assertThat(queue.receiveAndDelete(10))
        .extracting(received -> received.message().text())
        .containsExactly("0", "3");

    assertThat(queue.deadLetters().browse(10))
        .extracting(DeadLetter::messageId, DeadLetter::reason)
        .containsExactlyInAnyOrder(
            tuple(ids.get(1), DeathReason.EXPIRED), tuple(ids.get(2), DeathReason.EXPIRED));
    assertThat(queue.stats())
        .satisfies(
            stats -> {
              assertThat(stats.acked()).isEqualTo(2);
              assertThat(stats.expired()).isEqualTo(2);
              assertThat(stats.dead()).isEqualTo(2);
            });
  }

  @Test
  void no_kind_of_handler_sees_what_has_expired_in_line() {
    handled(seen -> queue.consume(handlers(1), d -> add(seen, d.message().text())));
    handled(
        seen -> queue.consumeTransactionally(handlers(1), (d, c) -> add(seen, d.message().text())));
    handled(
        seen ->
            queue.consumeAtMostOnce(handlers(1), received -> seen.add(received.message().text())));
  }

  private void handled(Function<List<String>, Consumer> consume) {
    List<MessageId> ids = sendNumbers(40);
    expire(ids.subList(10, 30).toArray(MessageId[]::new));
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    try (Consumer consumer = consume.apply(seen)) {
      Awaits.until(() -> count("message") == 0);
    }
    assertThat(seen)
        .containsExactlyElementsOf(
            IntStream.range(0, 40)
                .filter(i -> i < 10 || i >= 30)
                .mapToObj(String::valueOf)
                .toList());
  }

  @Test
  void what_expires_while_it_is_prefetched_is_not_handled() {
    prefetched(
        true,
        (seen, release) ->
            queue.consume(
                handlers(1).withPrefetch(10), d -> addWhen(seen, d.message().text(), release)));
    prefetched(
        true,
        (seen, release) ->
            queue.consumeTransactionally(
                handlers(1).withPrefetch(10),
                (d, c) -> addWhen(seen, d.message().text(), release)));
    // What was deleted by its claim was settled by it, too.
    prefetched(
        false,
        (seen, release) ->
            queue.consumeAtMostOnce(
                handlers(1).withPrefetch(10),
                received -> addWhen(seen, received.message().text(), release)));
  }

  private interface Consuming {
    Consumer start(List<String> seen, CountDownLatch release);
  }

  private void prefetched(boolean counted, Consuming consuming) {
    long expiredBefore = queue.stats().expired();
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch release = new CountDownLatch(1);
    // After some that are handled quickly the consumer claims ahead: one that it stays with, and
    // one that waits behind it.
    queue.pause();
    List<Message> messages = new ArrayList<>(Collections.nCopies(100, Message.text("quick")));
    messages.add(Message.text("stays"));
    messages.add(Message.text("expires").withTimeToLive(Duration.ofSeconds(2)));
    queue.sendAll(messages);
    String over = database.text("SELECT max(expires_at) FROM trunkline.message");
    try (Consumer consumer = consuming.start(seen, release)) {
      queue.resume();
      Awaits.until(() -> seen.contains("stays") && count("ready") == 0);
      Awaits.until(
          () ->
              database.number(
                      "SELECT (clock_timestamp() > '%s'::timestamptz)::integer".formatted(over))
                  == 1);
      release.countDown();
      Awaits.until(() -> count("message") == 0);
      send("after");
      Awaits.until(() -> seen.contains("after"));
    }
    assertThat(seen).hasSize(102).endsWith("stays", "after");
    assertThat(queue.stats().expired()).isEqualTo(expiredBefore + (counted ? 1 : 0));
  }

  @Test
  void the_sweep_removes_what_has_expired_from_a_run_and_leaves_the_rest_in_its_place() {
    queue.sendAll(
        IntStream.range(0, 100)
            .mapToObj(
                i -> {
                  Message message = Message.text(String.valueOf(i));
                  return i % 3 == 0 ? message.withTimeToLive(HOUR) : message;
                })
            .toList());
    send("last");

    sweep(Duration.ofMinutes(59));
    assertThat(queue.stats().ready()).isEqualTo(101);
    sweep(Duration.ofMinutes(61));

    assertThat(queue.stats().ready()).isEqualTo(67);
    assertThat(queue.stats().expired()).isEqualTo(34);
    List<String> left = new ArrayList<>();
    IntStream.range(0, 100).filter(i -> i % 3 != 0).forEach(i -> left.add(String.valueOf(i)));
    left.add("last");
    assertThat(texts(queue.receive(200))).containsExactlyElementsOf(left);
  }

  @Test
  void the_sweep_buries_what_the_queue_wants_buried_in_line_and_scheduled() {
    queue = altered(CONFIG.withTimeToLive(HOUR, ExpiredMessages.DEAD_LETTER));
    MessageId ready = queue.send(Message.text("a").withKey("k").withType("t").withHeader("h", "v"));
    MessageId delayed = queue.send(Message.text("b").withDelay(Duration.ofMinutes(30)));

    sweep(Duration.ofMinutes(61));

    assertThat(count("message")).isZero();
    List<DeadLetter> letters = queue.deadLetters().browse(10);
    assertThat(letters).extracting(DeadLetter::reason).containsOnly(DeathReason.EXPIRED);
    assertThat(letters).extracting(DeadLetter::messageId).containsExactlyInAnyOrder(ready, delayed);
    assertThat(letters.stream().filter(l -> l.messageId().equals(ready)).findFirst())
        .hasValueSatisfying(
            letter -> {
              assertThat(letter.message().key()).contains("k");
              assertThat(letter.message().headers()).containsEntry("h", "v");
              assertThat(letter.deliveries()).isZero();
            });
    assertThat(queue.stats().dead()).isEqualTo(2);
  }

  @Test
  void the_depth_is_right_soon_after_without_anybody_claiming() {
    queue.send(Message.text("a").withTimeToLive(Duration.ofMillis(50)));
    queue.send(
        Message.text("b")
            .withDeliverAt(Instant.now().plus(HOUR))
            .withTimeToLive(Duration.ofMillis(50)));
    send("stays");

    Awaits.until(() -> queue.stats().ready() == 1 && queue.stats().scheduled() == 0);

    assertThat(queue.stats().expired()).isEqualTo(2);
  }

  @Test
  void of_the_queues_and_the_messages_time_the_shorter_one_counts() {
    queue = altered(CONFIG.withTimeToLive(HOUR));
    assertThat(secondsLeft(send("a"))).isBetween(3_590L, 3_600L);
    assertThat(secondsLeft(queue.send(Message.text("b").withTimeToLive(Duration.ofMinutes(1)))))
        .isBetween(50L, 60L);
    assertThat(secondsLeft(queue.send(Message.text("c").withTimeToLive(Duration.ofHours(2)))))
        .isBetween(3_590L, 3_600L);
    queue = altered(CONFIG);
    assertThat(
            database.number(
                "SELECT count(*) FROM trunkline.message WHERE id = %d AND expires_at IS NULL"
                    .formatted(send("d").value())))
        .isEqualTo(1);
  }

  @Test
  void what_comes_back_keeps_its_time_in_line_and_scheduled() {
    queue.send(Message.text("a").withTimeToLive(HOUR));
    String over = database.text("SELECT expires_at FROM trunkline.message");
    receiveOne().retry(Duration.ofMinutes(90));
    assertThat(database.text("SELECT expires_at FROM trunkline.scheduled")).isEqualTo(over);
    promoteAll();
    assertThat(database.text("SELECT expires_at FROM trunkline.ready")).isEqualTo(over);
    receiveOne().release();
    assertThat(database.text("SELECT expires_at FROM trunkline.ready")).isEqualTo(over);
    queue.receive(1);
    expireAll();
    promoteAll();
    assertThat(database.text("SELECT expires_at FROM trunkline.ready")).isEqualTo(over);

    sweep(Duration.ofMinutes(61));

    assertThat(count("message")).isZero();
  }

  @Test
  void a_replayed_dead_letter_gets_a_fresh_time_as_often_as_it_is_replayed() {
    queue.send(Message.text("a").withTimeToLive(HOUR));
    for (int replay = 0; replay < 2; replay++) {
      database.execute(
          "UPDATE trunkline.message SET expires_at = expires_at - interval '50 minutes'");
      receiveOne().deadLetter("no");

      queue.deadLetters().replayAll();

      assertThat(secondsLeft(queue.peek(1).get(0).id())).isBetween(3_590L, 3_600L);
    }
    sweep(Duration.ofMinutes(61));
    assertThat(count("message")).isZero();
  }

  @Test
  void a_duplicate_is_not_confirmed_with_a_message_that_has_expired() {
    queue = altered(CONFIG.withDeduplication());
    Message message = Message.text("a").withDeduplicationId("1");
    MessageId first = queue.send(message.withTimeToLive(Duration.ofMillis(200)));

    Awaits.until(() -> !queue.send(message).equals(first));

    assertThat(queue.receive(waiting(PATIENCE)))
        .extracting(Delivery::id)
        .doesNotContain(first)
        .hasSize(1);
  }

  @Test
  void sql_knows_time_to_live_and_deduplication_as_java_does() {
    queue =
        altered(
            CONFIG
                .withTimeToLive(HOUR)
                .withDeduplication(
                    new Deduplication(Duration.ofMinutes(5), DeduplicationScope.KEY, true)));
    String key = "k".repeat(300);
    MessageId first = queue.send(Message.text("a").withType("t").withKey(key));
    assertThat(
            database.number(
                "SELECT trunkline.send('orders', 'a', type => 't', key => repeat('k', 300))"))
        .isEqualTo(first.value());
    long other =
        database.number(
            "SELECT trunkline.send('orders', 'b', key => 'k', deduplication_id => '1', time_to_live => '1 minute')");
    assertThat(queue.send(Message.text("x").withKey("k").withDeduplicationId("1")).value())
        .isEqualTo(other);
    assertThat(secondsLeft(new MessageId(other))).isBetween(50L, 60L);
    assertThatThrownBy(
            () ->
                database.text(
                    "SELECT trunkline.send('orders', 'b', key => 'k', delay => '1 hour')"))
        .hasMessageContaining("delay must be shorter than the time to live");
    assertThatThrownBy(() -> database.text("SELECT trunkline.send('orders', 'b')"))
        .hasMessageContaining("must have a key");
  }

  @Test
  void with_several_consumers_and_sweeps_each_message_is_handled_or_expires_once() {
    Random random = new Random(4);
    int count = 1_500;
    queue.sendAll(
        IntStream.range(0, count)
            .mapToObj(
                i ->
                    Message.text(String.valueOf(i))
                        .withTimeToLive(Duration.ofMillis(1 + random.nextInt(3_000))))
            .toList());
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    Handler handler =
        delivery -> {
          seen.add(delivery.message().text());
          return Outcome.ack();
        };
    Queue elsewhere = open(OPENED).queue("orders");
    try (Consumer here = queue.consume(handlers(2).withPrefetch(4), handler);
        Consumer there = elsewhere.consume(handlers(2).withPrefetch(4), handler)) {
      Awaits.until(() -> count("message") == 0);
    }

    assertThat(seen).doesNotHaveDuplicates();
    assertThat(queue.stats().acked()).isEqualTo(seen.size());
    assertThat(queue.stats().expired()).isEqualTo(count - seen.size());
  }

  @Test
  void nonsense_is_refused() {
    queue = altered(CONFIG.withTimeToLive(HOUR));
    assertThatThrownBy(() -> queue.send(Message.text("a").withDelay(HOUR)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "delay must be shorter than the time to live, PT1H, or the message is never delivered: PT1H");
    assertThatThrownBy(() -> Message.text("a").withTimeToLive(Duration.ZERO))
        .hasMessage("timeToLive must be between 1 ms and 3650 days: PT0S");
    assertThatThrownBy(() -> CONFIG.withTimeToLive(Duration.ofDays(3651)))
        .hasMessage("timeToLive must be between 1 ms and 3650 days: PT87624H");
    assertThatThrownBy(
            () ->
                trunkline
                    .topic("events", TopicConfig.defaults())
                    .publish(Message.text("a").withTimeToLive(HOUR)))
        .hasMessageContaining("must not have a time to live");
  }

  private static Outcome add(List<String> seen, String text) {
    seen.add(text);
    return Outcome.ack();
  }

  private static Outcome addWhen(List<String> seen, String text, CountDownLatch release)
      throws InterruptedException {
    seen.add(text);
    if (text.equals("stays")) {
      release.await();
    }
    return Outcome.ack();
  }

  /** Their time is over, and nothing in line says so. */
  private void expire(MessageId... ids) {
    String all =
        Stream.of(ids).map(id -> String.valueOf(id.value())).collect(Collectors.joining(","));
    database.execute(
        "UPDATE trunkline.message SET expires_at = now() - interval '1 ms' WHERE id = ANY ('{%s}')"
            .formatted(all));
  }

  private long secondsLeft(MessageId id) {
    return database.number(
        "SELECT extract(epoch FROM expires_at - now())::bigint FROM trunkline.message WHERE id = "
            + id.value());
  }

  private void sweep(Duration later) {
    sweeper().sweep(Instant.now().plus(later));
  }
}
