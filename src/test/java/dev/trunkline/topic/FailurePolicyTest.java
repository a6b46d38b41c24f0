package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.message.Message;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.support.Awaits;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A poison record, "0" of "key-0", among records of ten keys. */
class FailurePolicyTest extends GroupsFixture {
  private final Map<String, List<String>> handled = new ConcurrentHashMap<>();
  private final AtomicInteger attempts = new AtomicInteger();
  private final Set<String> poison = ConcurrentHashMap.newKeySet();

  @Test
  void block_tries_in_place_for_ever_and_other_partitions_go_on() {
    poison.add("0");
    publish(100);
    try (Subscription subscription =
        topic.subscribe("billing", policy(FailurePolicy.BLOCK), this::handle)) {
      Awaits.until(() -> attempts.get() > 20);
      int blocked = partitionOf("key-0");
      Awaits.until(() -> countHandled() == inOtherPartitions(blocked, 100));
      assertThat(handled).doesNotContainKey("key-0");
      assertThat(topic.group("billing").deadLetters().browse(10)).isEmpty();

      poison.clear();
      Awaits.until(() -> countHandled() == 100);
      assertThat(subscription.failure()).isEmpty();
    }
    assertInOrder(100);
  }

  @Test
  void attempts_survive_a_restart() {
    poison.add("0");
    publish(100);
    GroupConfig config =
        policy(FailurePolicy.SKIP)
            .withRetryPolicy(
                AT_ONCE
                    .withMaxDeliveries(3)
                    .withDelays(java.time.Duration.ofHours(1), java.time.Duration.ofHours(1))
                    .withJitter(dev.trunkline.retry.Jitter.NONE));
    for (int i = 1; i <= 3; i++) {
      int expected = i;
      try (Subscription subscription = topic.subscribe("billing", config, this::handle)) {
        Awaits.until(() -> attempts.get() == expected);
        if (i < 3) {
          Awaits.until(
              () ->
                  database.number("SELECT coalesce(max(failures), 0) FROM trunkline.group_failure")
                      == expected);
        } else {
          Awaits.until(() -> topic.group("billing").deadLetters().browse(10).size() == 1);
          assertThat(subscription.isClosed()).isFalse();
        }
      }
    }
    assertThat(topic.group("billing").deadLetters().browse(10).get(0).attempts()).isEqualTo(3);
  }

  @Test
  void skip_makes_a_dead_letter_at_the_limit_and_goes_on() {
    poison.add("0");
    publish(100);
    try (Subscription subscription =
        topic.subscribe("billing", policy(FailurePolicy.SKIP), this::handle)) {
      Awaits.until(() -> countHandled() == 99);
      Awaits.until(() -> committed("billing") == 100);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(attempts).hasValue(3);
    DeadRecord letter = onlyLetter();
    assertThat(letter.reason()).isEqualTo(DeathReason.DELIVERY_LIMIT);
    assertThat(letter.attempts()).isEqualTo(3);
    assertThat(letter.record().message().text()).isEqualTo("0");
    assertThat(letter.record().key()).contains("key-0");
    assertThat(letter.record().partition()).isEqualTo(partitionOf("key-0"));
    assertThat(letter.error().orElseThrow().message()).isEqualTo("poison 0");
    assertThat(topic.read(letter.record().partition(), letter.record().offset(), 1).get(0).id())
        .isEqualTo(letter.record().id());
    assertThat(database.number("SELECT count(*) FROM trunkline.group_failure")).isZero();
  }

  @Test
  void what_is_not_to_be_tried_again_is_dead_at_the_first_failure() {
    poison.add("0");
    publish(100);
    GroupConfig config = policy(FailurePolicy.SKIP);
    Set<Class<? extends Throwable>> hopeless = Set.of(RuntimeException.class);
    try (Subscription subscription =
        topic.subscribe(
            "billing",
            config.withMember(config.member().withNonRetryable(hopeless)),
            this::handle)) {
      Awaits.until(() -> committed("billing") == 100);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(attempts).hasValue(1);
    assertThat(onlyLetter().reason()).isEqualTo(DeathReason.NON_RETRYABLE);
    assertThat(onlyLetter().attempts()).isEqualTo(1);
    assertThat(countHandled()).isEqualTo(99);
  }

  @Test
  void a_tombstone_can_be_a_dead_letter_and_come_back_as_one() {
    topic.publish(Message.tombstone("gone"));
    List<TopicRecord> seen = new CopyOnWriteArrayList<>();
    poison.add("tombstone");
    try (Subscription subscription =
        topic.subscribe(
            "billing",
            policy(FailurePolicy.SKIP),
            record -> {
              if (poison.contains("tombstone")) {
                throw new IllegalStateException();
              }
              seen.add(record);
            })) {
      Awaits.until(() -> topic.group("billing").deadLetters().browse(10).size() == 1);
      assertThat(onlyLetter().record().isTombstone()).isTrue();
      poison.clear();
      assertThat(topic.group("billing").deadLetters().replayAll()).isEqualTo(1);
      Awaits.until(() -> seen.size() == 1);
      assertThat(seen.get(0).isTombstone()).isTrue();
      assertThat(subscription.failure()).isEmpty();
    }
  }

  @Test
  void a_replayed_record_comes_back_to_its_group_only_at_its_own_offset() {
    poison.add("0");
    publish(100);
    List<TopicRecord> others = new CopyOnWriteArrayList<>();
    List<TopicRecord> seen = new CopyOnWriteArrayList<>();
    try (Subscription subscription =
            topic.subscribe(
                "billing",
                policy(FailurePolicy.SKIP),
                record -> {
                  handle(record);
                  seen.add(record);
                });
        Subscription other = topic.subscribe("other", CONFIG, others::add)) {
      Awaits.until(() -> countHandled() == 99 && others.size() == 100);
      Awaits.until(() -> topic.group("billing").deadLetters().browse(10).size() == 1);
      DeadRecord letter = onlyLetter();
      poison.clear();

      assertThat(topic.group("billing").deadLetters().replay(List.of(letter.id()))).isEqualTo(1);
      assertThat(topic.group("billing").deadLetters().replay(List.of(letter.id()))).isZero();

      Awaits.until(() -> countHandled() == 100);
      assertThat(seen.get(99)).usingRecursiveComparison().isEqualTo(letter.record());
      Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.group_redelivery") == 0);
      assertThat(others).hasSize(100);
      assertThat(subscription.group()).isNotEqualTo(other.group());
    }
    assertThat(topic.group("billing").deadLetters().browse(10)).isEmpty();
  }

  @Test
  void a_replayed_record_that_fails_again_is_a_dead_letter_again_with_its_history() {
    poison.add("0");
    publish(10);
    try (Subscription subscription =
        topic.subscribe("billing", policy(FailurePolicy.SKIP), this::handle)) {
      Awaits.until(() -> topic.group("billing").deadLetters().browse(10).size() == 1);
      long first = onlyLetter().id();
      topic.group("billing").deadLetters().replayAll();
      Awaits.until(
          () ->
              topic.group("billing").deadLetters().browse(10).stream()
                  .anyMatch(letter -> letter.id() > first));
      assertThat(onlyLetter().replays()).isEqualTo(1);
      assertThat(onlyLetter().attempts()).isEqualTo(3);
      assertThat(onlyLetter().history()).contains("poison 0");
      assertThat(topic.group("billing").deadLetters().purge()).isEqualTo(1);
      assertThat(topic.group("billing").deadLetters().browse(10)).isEmpty();
      assertThat(subscription.failure()).isEmpty();
    }
  }

  @Test
  void park_keeps_the_later_records_of_a_key_until_it_is_released_and_other_keys_go_on() {
    poison.add("0");
    publish(100);
    try (Subscription subscription =
        topic.subscribe("billing", policy(FailurePolicy.PARK), this::handle)) {
      Awaits.until(() -> countHandled() == 90);
      GroupDeadLetters letters = topic.group("billing").deadLetters();
      Awaits.until(() -> letters.browse(100).size() == 10);
      assertThat(letters.parkedKeys()).containsExactly("key-0");
      assertThat(letters.browse(100))
          .extracting(letter -> letter.record().message().text())
          .containsExactly("0", "10", "20", "30", "40", "50", "60", "70", "80", "90");
      assertThat(letters.browse(100))
          .extracting(DeadRecord::reason)
          .startsWith(DeathReason.DELIVERY_LIMIT, DeathReason.PARKED)
          .endsWith(DeathReason.PARKED);
      assertThat(letters.replay(List.of(letters.browse(100).get(3).id()))).isZero();

      poison.clear();
      publish(100, 20);
      assertThat(letters.release("key-0")).isGreaterThanOrEqualTo(10);

      Awaits.until(() -> countHandled() == 120);
      assertThat(letters.parkedKeys()).isEmpty();
      assertThat(letters.browse(100)).isEmpty();
      assertThat(letters.release("key-0")).isZero();
      assertThat(subscription.failure()).isEmpty();
    }
    assertInOrder(120);
  }

  @Test
  void a_released_key_that_fails_again_is_parked_again_and_nothing_is_lost_or_reordered() {
    poison.add("0");
    publish(50);
    try (Subscription subscription =
        topic.subscribe("billing", policy(FailurePolicy.PARK), this::handle)) {
      GroupDeadLetters letters = topic.group("billing").deadLetters();
      Awaits.until(() -> letters.browse(100).size() == 5);
      poison.clear();
      poison.add("20");
      letters.release("key-0");
      Awaits.until(
          () ->
              letters.browse(100).size() == 3
                  && database.number("SELECT count(*) FROM trunkline.group_redelivery") == 0);
      assertThat(handled.get("key-0")).containsExactly("0", "10");
      publish(50, 10);
      Awaits.until(() -> letters.browse(100).size() == 4);
      poison.clear();
      letters.release("key-0");
      Awaits.until(() -> countHandled() == 60);
      assertThat(subscription.failure()).isEmpty();
    }
    assertInOrder(60);
  }

  @Test
  void releases_race_with_the_records_that_are_being_parked_and_order_holds() throws Exception {
    AtomicInteger published = new AtomicInteger();
    Thread publisher =
        new Thread(
            () -> {
              for (int i = 0; i < 40; i++) {
                publish(published.get(), 25);
                published.addAndGet(25);
              }
            });
    // Fails at random, three times in a row at most, so that keys are parked all the time.
    java.util.Random random = new java.util.Random(7);
    try (Subscription subscription =
        topic.subscribe(
            "billing",
            policy(FailurePolicy.PARK).withRetryPolicy(AT_ONCE.withMaxDeliveries(1)),
            record -> {
              boolean fails;
              synchronized (random) {
                fails = random.nextInt(20) == 0;
              }
              if (fails) {
                throw new IllegalStateException("by chance");
              }
              handle(record);
            })) {
      publisher.start();
      GroupDeadLetters letters = topic.group("billing").deadLetters();
      Awaits.await()
          .atMost(java.time.Duration.ofSeconds(60))
          .until(
              () -> {
                letters.parkedKeys().forEach(letters::release);
                return !publisher.isAlive() && countHandled() == 1000;
              });
      publisher.join();
      assertThat(subscription.failure()).isEmpty();
    }
    assertInOrder(1000);
  }

  @Test
  void a_failing_batch_comes_one_by_one_and_only_the_record_at_fault_is_given_up() {
    poison.add("0");
    publish(200);
    try (Subscription subscription =
        topic.subscribeInBatches(
            "billing",
            policy(FailurePolicy.SKIP),
            batch -> {
              if (batch.stream().anyMatch(record -> poison.contains(text(record)))) {
                throw new IllegalStateException("poison in a batch of " + batch.size());
              }
              batch.forEach(record -> handled(record));
            })) {
      Awaits.until(() -> countHandled() == 199);
      Awaits.until(() -> committed("billing") == 200);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(onlyLetter().record().message().text()).isEqualTo("0");
    assertThat(onlyLetter().attempts()).isEqualTo(3);
  }

  @Test
  void a_payload_that_cannot_be_read_is_given_up_at_once() {
    topic.publish(Message.text("no json").withContentType("application/json"));
    try (Subscription subscription =
        topic.subscribe(
            "billing", policy(FailurePolicy.SKIP), record -> record.message().json(Map.class))) {
      Awaits.until(() -> topic.group("billing").deadLetters().browse(10).size() == 1);
      assertThat(onlyLetter().reason()).isEqualTo(DeathReason.UNREADABLE);
      assertThat(onlyLetter().attempts()).isEqualTo(1);
      assertThat(subscription.failure()).isEmpty();
    }
  }

  private GroupConfig policy(FailurePolicy policy) {
    return CONFIG.withFailurePolicy(policy).withRetryPolicy(AT_ONCE.withMaxDeliveries(3));
  }

  private void handle(TopicRecord record) {
    if (poison.contains(text(record))) {
      attempts.incrementAndGet();
      throw new IllegalStateException("poison " + text(record));
    }
    handled(record);
  }

  private void handled(TopicRecord record) {
    handled
        .computeIfAbsent(
            record.key().orElseThrow(), key -> Collections.synchronizedList(new ArrayList<>()))
        .add(text(record));
  }

  private int countHandled() {
    return handled.values().stream().mapToInt(List::size).sum();
  }

  /** Each key's records in the order in which they were published, each once. */
  private void assertInOrder(int published) {
    assertThat(countHandled()).isEqualTo(published);
    assertThat(handled.values())
        .allSatisfy(
            texts -> {
              List<Integer> numbers = texts.stream().map(Integer::valueOf).toList();
              assertThat(numbers).isSorted().doesNotHaveDuplicates();
            });
  }

  private DeadRecord onlyLetter() {
    List<DeadRecord> letters = topic.group("billing").deadLetters().browse(10);
    assertThat(letters).hasSize(1);
    return letters.get(0);
  }

  private int partitionOf(String key) {
    for (int partition = 0; partition < 4; partition++) {
      for (TopicRecord record : topic.read(partition, 0, 1000)) {
        if (record.key().filter(key::equals).isPresent()) {
          return partition;
        }
      }
    }
    throw new IllegalStateException("no record of " + key);
  }

  private int inOtherPartitions(int partition, int all) {
    return all - topic.read(partition, 0, 1000).size();
  }
}
