package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.PartitionLostException;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SubscriptionTest extends GroupsFixture {

  @Test
  void every_record_is_handled_in_the_order_of_its_partition_and_committed() {
    publish(500);
    Map<Integer, List<Long>> handled = new ConcurrentHashMap<>();
    AtomicInteger count = new AtomicInteger();

    try (Subscription subscription =
        topic.subscribe(
            "billing",
            CONFIG,
            record -> {
              handled
                  .computeIfAbsent(
                      record.partition(), p -> Collections.synchronizedList(new ArrayList<>()))
                  .add(record.offset());
              count.incrementAndGet();
            })) {
      publish(500, 500);
      Awaits.until(() -> count.get() == 1000);
      Awaits.until(() -> committed("billing") == 1000);
      assertThat(subscription.assignment()).containsExactly(0, 1, 2, 3);
    }

    assertThat(handled.values())
        .allSatisfy(
            offsets ->
                assertThat(offsets)
                    .isEqualTo(
                        IntStream.range(0, offsets.size()).mapToObj(i -> (long) i).toList()));
  }

  @Test
  void what_is_published_reaches_the_handler_without_a_poll_interval() {
    Queue<String> handled = new ConcurrentLinkedQueue<>();
    dev.trunkline.Trunkline slow =
        open(
            OPENED
                .withHeartbeatTimeout(Duration.ofMinutes(1))
                .withPollInterval(Duration.ofSeconds(10)));
    Topic slowTopic = slow.topic("orders");
    try (Subscription subscription =
        slowTopic.subscribe(
            "billing",
            CONFIG.withSessionTimeout(Duration.ofMinutes(1)),
            record -> handled.add(text(record)))) {
      Awaits.until(() -> subscription.assignment().size() == 4);
      for (int i = 0; i < 20; i++) {
        slowTopic.publish(Message.text("here " + i));
        int expected = 2 * i + 1;
        Awaits.await().atMost(Duration.ofSeconds(5)).until(() -> handled.size() == expected);
        topic.publish(Message.text("there " + i));
        Awaits.await().atMost(Duration.ofSeconds(5)).until(() -> handled.size() == expected + 1);
      }
    }
  }

  @Test
  void groups_do_not_know_of_each_other() {
    publish(100);
    AtomicInteger one = new AtomicInteger();
    AtomicInteger two = new AtomicInteger();
    try (Subscription first = topic.subscribe("one", CONFIG, record -> one.incrementAndGet());
        Subscription second = topic.subscribe("two", CONFIG, record -> two.incrementAndGet())) {
      assertThat(first.group()).isNotEqualTo(second.group());
      Awaits.until(() -> one.get() == 100 && two.get() == 100);
    }
  }

  @Test
  void a_group_goes_on_where_it_was_when_it_was_closed() {
    publish(100);
    AtomicInteger count = new AtomicInteger();
    Subscription first = topic.subscribe("billing", CONFIG, record -> count.incrementAndGet());
    Awaits.until(() -> count.get() >= 50);
    first.close();
    assertThat(committed("billing")).isEqualTo(count.get());

    Subscription second = topic.subscribe("billing", CONFIG, record -> count.incrementAndGet());
    Awaits.until(() -> count.get() == 100);
    second.close();

    assertThat(committed("billing")).isEqualTo(100);
    assertThat(count).hasValue(100);
  }

  @Test
  void batches_hold_records_of_one_partition_in_order_and_no_more_than_a_page() {
    publish(1000);
    Queue<List<TopicRecord>> batches = new ConcurrentLinkedQueue<>();
    MemberConfig member = MemberConfig.defaults().withPageRecords(50);
    try (Subscription subscription =
        topic.subscribeInBatches("billing", CONFIG.withMember(member), batches::add)) {
      Awaits.until(() -> batches.stream().mapToInt(List::size).sum() == 1000);
      assertThat(subscription.isClosed()).isFalse();
    }
    assertThat(batches)
        .allSatisfy(
            batch -> {
              assertThat(batch).hasSizeBetween(1, 50);
              assertThat(batch)
                  .extracting(TopicRecord::partition)
                  .containsOnly(batch.get(0).partition());
              assertThat(batch).extracting(TopicRecord::offset).isSorted();
            });
    assertThat(batches.size()).isLessThan(200);
  }

  @Test
  void partitions_are_handled_at_the_same_time_and_one_partition_by_one_worker() throws Exception {
    publish(400);
    CountDownLatch together = new CountDownLatch(4);
    Set<Integer> busy = ConcurrentHashMap.newKeySet();
    AtomicBoolean twice = new AtomicBoolean();
    AtomicInteger count = new AtomicInteger();
    try (Subscription subscription =
        topic.subscribe(
            "billing",
            CONFIG,
            record -> {
              if (!busy.add(record.partition())) {
                twice.set(true);
              }
              together.countDown();
              together.await();
              busy.remove(record.partition());
              count.incrementAndGet();
            })) {
      Awaits.until(() -> count.get() == 400);
      assertThat(subscription.failure()).isEmpty();
    }
    assertThat(twice).isFalse();
  }

  @Test
  void a_closing_subscription_finishes_the_record_in_hand_and_begins_no_other() throws Exception {
    publish(100);
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    AtomicInteger count = new AtomicInteger();
    Subscription subscription =
        topic.subscribe(
            "billing",
            CONFIG.withConcurrency(1),
            record -> {
              begun.countDown();
              finish.await();
              count.incrementAndGet();
            });
    begun.await();
    Thread closer = new Thread(subscription::close);
    closer.start();
    Awaits.until(subscription::isClosed);
    finish.countDown();
    closer.join();

    assertThat(count).hasValue(1);
    assertThat(committed("billing")).isEqualTo(1);
  }

  @Test
  void a_handler_that_does_not_end_is_interrupted_and_its_record_handled_again() throws Exception {
    publish(1);
    CountDownLatch begun = new CountDownLatch(1);
    Subscription subscription =
        topic.subscribe(
            "billing",
            CONFIG,
            record -> {
              begun.countDown();
              new CountDownLatch(1).await();
            });
    begun.await();

    subscription.close(Duration.ofMillis(50));

    AtomicInteger again = new AtomicInteger();
    try (Subscription next =
        topic.subscribe("billing", CONFIG, record -> again.incrementAndGet())) {
      Awaits.until(() -> again.get() == 1);
      assertThat(next.isClosed()).isFalse();
    }
    assertThat(database.number("SELECT count(*) FROM trunkline.group_failure")).isZero();
  }

  @Test
  void a_handler_may_close_its_own_subscription_and_the_trunkline() {
    publish(10);
    AtomicInteger count = new AtomicInteger();
    List<Subscription> own = Collections.synchronizedList(new ArrayList<>());
    Subscription subscription =
        topic.subscribe(
            "billing",
            CONFIG.withConcurrency(1),
            record -> {
              Awaits.until(() -> !own.isEmpty());
              count.incrementAndGet();
              own.get(0).close();
            });
    own.add(subscription);
    Awaits.until(() -> committed("billing") == 1);
    Awaits.until(() -> database.number("SELECT count(*) FROM trunkline.group_member") == 0);

    assertThat(count).hasValue(1);
  }

  @Test
  void several_members_in_several_processes_share_the_work_and_nothing_is_handled_twice() {
    Map<String, Integer> handled = new ConcurrentHashMap<>();
    Set<String> workers = ConcurrentHashMap.newKeySet();
    List<Subscription> members = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      String name = "member-" + i;
      members.add(
          elsewhere()
              .subscribe(
                  "billing",
                  CONFIG,
                  record -> {
                    workers.add(name);
                    handled.merge(text(record), 1, Integer::sum);
                  }));
    }
    Awaits.until(
        () ->
            members.stream().mapToInt(member -> member.assignment().size()).sum() == 4
                && members.stream().noneMatch(member -> member.assignment().isEmpty()));
    publish(1000);
    Awaits.until(() -> handled.size() == 1000);
    members.forEach(Subscription::close);

    assertThat(handled.values()).containsOnly(1);
    assertThat(workers).hasSize(3);
    assertThat(committed("billing")).isEqualTo(1000);
  }

  @Test
  void a_join_moves_only_its_share_while_the_others_keep_working() {
    Map<String, Integer> handled = new ConcurrentHashMap<>();
    AtomicInteger published = new AtomicInteger();
    AtomicBoolean over = new AtomicBoolean();
    Thread publisher =
        new Thread(
            () -> {
              while (!over.get()) {
                publish(published.get(), 20);
                published.addAndGet(20);
              }
            });
    Subscription first =
        topic.subscribe("billing", CONFIG, r -> handled.merge(text(r), 1, Integer::sum));
    Awaits.until(() -> first.assignment().size() == 4);
    publisher.start();
    List<Integer> kept;
    try (Subscription second =
        elsewhere().subscribe("billing", CONFIG, r -> handled.merge(text(r), 1, Integer::sum))) {
      Awaits.until(() -> second.assignment().size() == 2 && first.assignment().size() == 2);
      kept = List.copyOf(first.assignment());
      assertThat(kept).doesNotContainAnyElementsOf(second.assignment());
    }
    Awaits.until(() -> first.assignment().size() == 4);
    over.set(true);
    Awaits.until(() -> !publisher.isAlive());
    Awaits.until(() -> handled.size() == published.get());
    first.close();

    assertThat(handled.values()).containsOnly(1);
    // Those that never moved have the epoch of the first day.
    assertThat(
            database
                .rows(
                    "SELECT partition FROM trunkline.group_commit WHERE epoch = 1 AND committed > 0")
                .stream()
                .map(row -> (Integer) row.get(0))
                .collect(Collectors.toSet()))
        .containsAll(kept);
  }

  @Test
  void a_bad_name_and_a_bad_configuration_are_refused() {
    assertThatThrownBy(() -> topic.subscribe("no good", CONFIG, record -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("group");
    assertThatThrownBy(
            () ->
                topic.subscribe(
                    "billing", CONFIG.withSessionTimeout(Duration.ofMillis(200)), record -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("sessionTimeout");
    assertThatThrownBy(() -> CONFIG.withConcurrency(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("-1");
  }

  @Test
  void a_paused_partition_is_left_alone_while_others_go_on_and_resumes_where_it_was() {
    Map<Integer, List<Long>> handled = new ConcurrentHashMap<>();
    try (Subscription subscription =
        topic.subscribe(
            "billing",
            CONFIG,
            record ->
                handled
                    .computeIfAbsent(
                        record.partition(), p -> Collections.synchronizedList(new ArrayList<>()))
                    .add(record.offset()))) {
      Awaits.until(() -> subscription.assignment().size() == 4);
      subscription.pause(2);
      publish(200);
      long others = database.number("SELECT count(*) FROM trunkline.record WHERE partition <> 2");
      Awaits.until(() -> handledBut(2, handled) == others);
      Awaits.await().during(Duration.ofMillis(200)).until(() -> !handled.containsKey(2));
      assertThat(subscription.assignment()).contains(2);

      subscription.resume(2);

      Awaits.until(() -> handled.getOrDefault(2, List.of()).size() == 200 - others);
      assertThat(handled.get(2))
          .isEqualTo(IntStream.range(0, (int) (200 - others)).mapToObj(i -> (long) i).toList());
      assertThatThrownBy(() -> subscription.pause(17)).isInstanceOf(PartitionLostException.class);
    }
  }

  private static long handledBut(int partition, Map<Integer, List<Long>> handled) {
    return handled.entrySet().stream()
        .filter(entry -> entry.getKey() != partition)
        .mapToLong(entry -> entry.getValue().size())
        .sum();
  }
}
