package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.GroupBusyException;
import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.error.PartitionLostException;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class GroupConsumerTest extends GroupsFixture {
  private static final Duration SOON = Duration.ofSeconds(10);

  /** Writes down what it hears, and commits when it may. */
  private static final class Heard implements PartitionListener {
    final List<String> heard = new ArrayList<>();

    @Override
    public void onAssigned(GroupConsumer consumer, Set<Integer> partitions) {
      heard.add("assigned " + partitions);
    }

    @Override
    public void onRevoked(GroupConsumer consumer, Set<Integer> partitions) {
      consumer.commit();
      heard.add("revoked " + partitions);
    }

    @Override
    public void onLost(GroupConsumer consumer, Set<Integer> partitions) {
      assertThatThrownBy(() -> consumer.commit(Map.of(partitions.iterator().next(), 0L)))
          .isInstanceOf(PartitionLostException.class);
      heard.add("lost " + partitions);
    }
  }

  @Test
  void a_poll_answers_what_was_published_before_and_commits_nothing_by_itself() {
    publish(100);
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      List<TopicRecord> polled = pollAll(consumer, 100);

      assertThat(polled).extracting(GroupsFixture::text).doesNotHaveDuplicates().hasSize(100);
      assertThat(committed("billing")).isZero();
      assertThat(consumer.poll(Duration.ZERO)).isEmpty();
      consumer.commit();
      assertThat(committed("billing")).isEqualTo(100);
      publish(100, 1);
      assertThat(consumer.poll(Duration.ZERO)).hasSize(1);
    }
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      assertThat(pollAll(consumer, 1)).extracting(GroupsFixture::text).containsExactly("100");
    }
  }

  @Test
  void a_waiting_poll_is_woken_by_a_publish() throws Exception {
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      Awaits.until(
          () -> consumer.poll(Duration.ZERO).isEmpty() && consumer.assignment().size() == 4);
      Thread publisher = new Thread(() -> publish(1));
      long begin = System.nanoTime();
      publisher.start();

      assertThat(consumer.poll(Duration.ofMinutes(1))).hasSize(1);

      assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(20));
      publisher.join();
    }
  }

  @Test
  void no_poll_answers_more_than_asked_for_and_partitions_take_turns() {
    publish(400);
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      PollOptions few = PollOptions.defaults().withMaxRecords(10).withMaxWait(SOON);
      List<Integer> turns = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        List<TopicRecord> polled = consumer.poll(few);
        assertThat(polled).hasSize(10);
        turns.add(polled.get(0).partition());
      }
      assertThat(turns.subList(0, 4)).doesNotHaveDuplicates();
      assertThat(consumer.poll(few.withMaxBytes(1))).hasSize(1);
    }
  }

  @Test
  void the_listener_hears_of_partitions_that_come_and_go_and_may_commit_those_that_go() {
    publish(100);
    Heard first = new Heard();
    GroupConsumer one = topic.join("billing", CONFIG, first);
    pollAll(one, 100);
    GroupConsumer two = elsewhere().join("billing", CONFIG);
    Awaits.until(
        () -> {
          one.poll(Duration.ofMillis(10));
          assertThat(two.poll(Duration.ofMillis(10))).isEmpty();
          return one.assignment().size() == 2 && two.assignment().size() == 2;
        });
    one.close();
    two.close();

    assertThat(first.heard)
        .containsExactly("assigned [0, 1, 2, 3]", "revoked [2, 3]", "revoked [0, 1]");
    assertThat(committed("billing")).isEqualTo(100);
  }

  @Test
  void a_member_that_was_taken_for_dead_hears_that_all_is_lost_and_can_commit_nothing() {
    publish(100);
    Heard heard = new Heard();
    try (GroupConsumer consumer = topic.join("billing", CONFIG, heard)) {
      pollAll(consumer, 100);
      // As another process does when it finds it silent.
      database.execute(
          """
          UPDATE trunkline.group_partition SET member_id = NULL, wanted_by = NULL, epoch = epoch + 1;
          DELETE FROM trunkline.group_member
          """);

      assertThatThrownBy(consumer::commit).isInstanceOf(PartitionLostException.class);
      assertThat(committed("billing")).isZero();
      List<TopicRecord> again = pollAll(consumer, 100);

      assertThat(again).hasSize(100);
      assertThat(heard.heard)
          .containsExactly("assigned [0, 1, 2, 3]", "lost [0, 1, 2, 3]", "assigned [0, 1, 2, 3]");
      consumer.commit();
    }
  }

  @Test
  void a_member_that_does_not_poll_gives_way_after_its_longest_poll_interval() {
    publish(100);
    Heard heard = new Heard();
    MemberConfig impatient = MemberConfig.defaults().withMaxPollInterval(Duration.ofMillis(300));
    try (GroupConsumer lazy = topic.join("billing", CONFIG.withMember(impatient), heard);
        GroupConsumer other = elsewhere().join("billing", CONFIG)) {
      Awaits.until(() -> lazy.poll(Duration.ofMillis(10)).isEmpty() && !heard.heard.isEmpty());
      Awaits.until(
          () -> {
            other.poll(Duration.ofMillis(10));
            return other.assignment().size() == 2;
          });
      lazy.poll(Duration.ZERO);
      assertThat(heard.heard.get(heard.heard.size() - 1)).isIn("lost [2, 3]", "revoked [2, 3]");
    }
  }

  @Test
  void seek_moves_the_next_poll_and_nothing_else() {
    publish(100);
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      pollAll(consumer, 100);
      long end = consumer.position(0);
      consumer.seek(0, 1);
      assertThat(consumer.position(0)).isEqualTo(1);
      assertThat(consumer.poll(SOON).get(0).offset()).isEqualTo(1);
      consumer.seek(0, StartFrom.earliest());
      assertThat(consumer.poll(SOON).get(0).offset()).isZero();
      consumer.seek(0, StartFrom.latest());
      assertThat(consumer.position(0)).isEqualTo(end);
      consumer.seek(0, StartFrom.timestamp(Instant.EPOCH));
      assertThat(consumer.position(0)).isZero();
      consumer.seek(0, StartFrom.ago(Duration.ofDays(1)));
      assertThat(consumer.position(0)).isZero();
      consumer.seek(0, end);
      assertThat(committed("billing")).isZero();
      assertThatThrownBy(() -> consumer.seek(9, 0)).isInstanceOf(PartitionLostException.class);
      assertThatThrownBy(() -> consumer.seek(0, -1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("-1");
    }
  }

  @Test
  void an_offset_that_is_out_of_range_fails_or_goes_on_as_the_group_says() {
    publish(100);
    for (OutOfRange way : OutOfRange.values()) {
      try (GroupConsumer consumer = topic.join("group-" + way, CONFIG.withOutOfRange(way))) {
        pollAll(consumer, 100);
        long end = consumer.position(1);
        consumer.seek(1, end + 1_000);
        switch (way) {
          case FAIL -> {
            assertThatThrownBy(() -> consumer.poll(SOON))
                .isInstanceOf(OffsetOutOfRangeException.class);
            consumer.seek(1, end);
          }
          case EARLIEST -> {
            long begin = System.nanoTime();
            assertThat(consumer.poll(SOON).get(0).offset()).isZero();
            assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(SOON.dividedBy(2));
          }
          case LATEST -> {
            assertThat(consumer.poll(Duration.ofMillis(100))).isEmpty();
            assertThat(consumer.position(1)).isEqualTo(end);
          }
        }
      }
    }
  }

  @Test
  void a_paused_partition_is_left_out_until_it_is_resumed() {
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      Awaits.until(
          () ->
              consumer.poll(Duration.ofMillis(10)).isEmpty() && consumer.assignment().size() == 4);
      consumer.pause(2);
      publish(100);
      List<TopicRecord> polled = new ArrayList<>();
      for (List<TopicRecord> more = consumer.poll(SOON); !more.isEmpty(); ) {
        polled.addAll(more);
        more = consumer.poll(Duration.ZERO);
      }
      assertThat(polled).extracting(TopicRecord::partition).containsOnly(0, 1, 3);
      consumer.resume(2);
      assertThat(consumer.poll(SOON)).extracting(TopicRecord::partition).containsOnly(2);
    }
  }

  @Test
  void positions_are_committed_one_by_one_and_never_beyond_the_end() {
    publish(100);
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      pollAll(consumer, 100);
      consumer.commit(Map.of(0, 3L, 1, 2L));
      assertThat(committed("billing")).isEqualTo(5);
      assertThatThrownBy(() -> consumer.commit(Map.of(0, 1_000L)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("1000");
      assertThatThrownBy(() -> consumer.commit(Map.of(7, 0L)))
          .isInstanceOf(PartitionLostException.class);
    }
  }

  @Test
  void a_closed_consumer_refuses_to_work_and_closing_again_does_nothing() {
    GroupConsumer consumer = topic.join("billing", CONFIG);
    consumer.close();
    consumer.close();
    assertThatThrownBy(() -> consumer.poll(SOON)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(consumer::commit).isInstanceOf(IllegalStateException.class);
    assertThat(database.number("SELECT count(*) FROM trunkline.group_member")).isZero();
  }

  @Test
  void a_group_is_reset_while_nobody_runs_and_goes_on_there() {
    publish(100);
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      pollAll(consumer, 100);
      consumer.commit();
      assertThatThrownBy(() -> topic.group("billing").reset(StartFrom.earliest()))
          .isInstanceOf(GroupBusyException.class);
    }
    topic.group("billing").reset(StartFrom.earliest());
    assertThat(topic.group("billing").lagInRecords()).isEqualTo(100);
    try (GroupConsumer consumer = topic.join("billing", CONFIG)) {
      assertThat(pollAll(consumer, 100)).hasSize(100);
    }
    topic.group("billing").reset(StartFrom.latest());
    assertThat(topic.group("billing").lagInRecords()).isZero();
  }

  @Test
  void lag_is_told_in_records_and_in_time_for_every_partition_and_is_never_absent() {
    // Neither a stall nor a step of the clock, of a few seconds, makes a difference here.
    GroupConfig patient = CONFIG.withSessionTimeout(Duration.ofMinutes(1));
    try (GroupConsumer consumer = topic.join("billing", patient)) {
      assertThat(topic.group("billing").lag())
          .hasSize(4)
          .allMatch(lag -> lag.records() == 0 && lag.time().isZero());
      publish(50);
      // Gives them their offsets: the tail, which does so too, may be slower than the update.
      assertThat(topic.endOffsets().values().stream().mapToLong(end -> end).sum()).isEqualTo(50);
      assertThat(
              database.execute(
                  "UPDATE trunkline.segment SET appended_at = appended_at - interval '1 hour'"))
          .as("one segment for each partition")
          .isEqualTo(4);
      assertThat(
              database.number(
                  "SELECT count(*) FROM trunkline.segment WHERE appended_at > now() - interval '59 minutes'"))
          .as("segments that were appended just now")
          .isZero();
      List<PartitionLag> lag = topic.group("billing").lag();
      assertThat(lag.stream().mapToLong(PartitionLag::records).sum()).isEqualTo(50);
      assertThat(lag)
          .filteredOn(each -> each.records() > 0)
          .isNotEmpty()
          .allMatch(each -> each.time().compareTo(Duration.ofMinutes(59)) > 0);
      assertThat(topic.group("billing").lagInTime())
          .isBetween(Duration.ofMinutes(59), Duration.ofMinutes(90));
      assertThat(topic.group("billing").members()).isEqualTo(1);
      pollAll(consumer, 50);
      consumer.commit();
      assertThat(topic.group("billing").lagInRecords()).isZero();
      assertThat(topic.group("billing").lagInTime()).isZero();
    }
    assertThat(topic.groupNames()).containsExactly("billing");
    assertThatThrownBy(() -> topic.group("nobody")).isInstanceOf(GroupNotFoundException.class);
  }

  @Test
  void a_new_group_may_begin_at_the_end_of_all_that_was_committed() {
    publish(100);
    try (GroupConsumer consumer =
        topic.join(
            "late",
            GroupConfig.from(StartFrom.latest()).withSessionTimeout(Duration.ofSeconds(2)))) {
      assertThat(consumer.poll(Duration.ofMillis(200))).isEmpty();
      topic.publish(Message.text("new"));
      assertThat(pollAll(consumer, 1)).extracting(GroupsFixture::text).containsExactly("new");
    }
  }

  private static List<TopicRecord> pollAll(GroupConsumer consumer, int count) {
    List<TopicRecord> polled = new ArrayList<>();
    Awaits.until(
        () -> {
          polled.addAll(consumer.poll(Duration.ofMillis(200)));
          return polled.size() >= count;
        });
    return polled;
  }
}
