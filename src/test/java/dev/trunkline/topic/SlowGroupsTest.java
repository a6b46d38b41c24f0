package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.trunkline.event.RecordsDropped;
import dev.trunkline.event.TrunklineListener;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class SlowGroupsTest extends UpkeepFixture {
  private static final Retention TEN_MINUTES = Retention.forever().withAge(Duration.ofMinutes(10));

  private final List<RecordsDropped> dropped = new CopyOnWriteArrayList<>();

  private final TrunklineListener listener =
      new TrunklineListener() {
        @Override
        public void recordsDropped(RecordsDropped event) {
          dropped.add(event);
          throw new IllegalStateException("the listener's own trouble");
        }
      };

  /** A group that has come so far; its members do not matter here. */
  private void group(String name, long committed) {
    database.execute(
        """
        WITH made AS (
          INSERT INTO trunkline.consumer_group (
            topic_id, name, kind, session_timeout, out_of_range, failure_policy, retry_initial_delay, retry_max_delay,
            retry_multiplier, retry_jitter)
          SELECT id, ?, 'ORDERED', interval '10 s', 'FAIL', 'BLOCK', interval '1 s', interval '1 s', 1, 'NONE'
          FROM trunkline.topic
          WHERE deleted_at IS NULL
          RETURNING id
        ), placed AS (
          INSERT INTO trunkline.group_partition (group_id, partition) SELECT id, 0 FROM made
        )
        INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch) SELECT id, 0, ?, 0 FROM made
        """,
        name,
        committed);
  }

  private void commit(String name, long committed) {
    database.execute(
        """
        INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
        SELECT id, 0, ?, 0 FROM trunkline.consumer_group WHERE name = ?
        """,
        committed,
        name);
  }

  /** Three closed chunks of a thousand records, all past their age. */
  private Topic threeChunks(Retention retention) {
    Topic topic = topic(retention);
    for (int i = 0; i < 3; i++) {
      publish(topic, 1000);
      roll();
    }
    anHourPasses();
    return topic;
  }

  private long start(Topic topic) {
    return topic.beginningOffsets().get(0);
  }

  @Test
  void hold_keeps_what_any_group_has_not_read() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnread());
    group("fast", 3000);
    group("slow", 1500);
    upkeep.runOnce();
    assertThat(start(topic)).isEqualTo(1000);

    commit("slow", 1999);
    upkeep.runOnce();
    assertThat(start(topic)).isEqualTo(1000);

    commit("slow", 2000);
    upkeep.runOnce();
    assertThat(start(topic)).isEqualTo(2000);
    assertThat(dropped).isEmpty();
  }

  @Test
  void hold_up_to_a_cap_drops_the_oldest_beyond_it_and_tells() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnreadUpTo(2_700_000));
    group("slow", 10);

    upkeepOn(database.dataSource(), listener).runOnce();

    assertThat(start(topic)).isEqualTo(1000);
    assertThat(dropped).containsExactly(new RecordsDropped("orders", "slow", 0, 10, 1000));
    upkeepOn(database.dataSource(), listener).runOnce();
    assertThat(start(topic)).as("the rest is within the cap").isEqualTo(1000);
  }

  @Test
  void drop_goes_on_whatever_groups_have_read_and_tells_each_that_loses() {
    Topic topic = threeChunks(TEN_MINUTES.droppingUnread());
    group("fast", 3000);
    group("slow", 1500);
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    Logger logger = (Logger) LoggerFactory.getLogger(ChunkUpkeep.class);
    logger.addAppender(log);
    try {
      // All by one process: the group loses of two chunks.
      upkeepOn(database.dataSource(), listener).runOnce();
    } finally {
      logger.detachAppender(log);
    }

    assertThat(topic.beginningOffsets()).isEqualTo(Map.of(0, 3000L));
    assertThat(dropped)
        .containsExactly(
            new RecordsDropped("orders", "slow", 0, 1500, 2000),
            new RecordsDropped("orders", "slow", 0, 2000, 3000));
    assertThat(log.list.stream().filter(event -> event.getLevel() == Level.WARN))
        .filteredOn(event -> event.getFormattedMessage().contains("group \"slow\" had not read"))
        .hasSize(1);
  }

  @Test
  void a_group_of_another_topic_holds_nothing() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnread());
    database.execute(
        """
        INSERT INTO trunkline.consumer_group (
          topic_id, name, kind, session_timeout, out_of_range, failure_policy, retry_initial_delay, retry_max_delay,
          retry_multiplier, retry_jitter)
        VALUES (-1, 'other', 'ORDERED', interval '10 s', 'FAIL', 'BLOCK', interval '1 s', interval '1 s', 1, 'NONE')
        """);

    upkeep.runOnce();

    assertThat(start(topic)).isEqualTo(3000);
  }

  @Test
  void a_group_that_has_committed_nothing_in_a_partition_holds_all_of_it() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnread());
    group("new", 0);
    database.execute("DELETE FROM trunkline.group_commit; DELETE FROM trunkline.group_partition");

    upkeep.runOnce();

    assertThat(start(topic)).isZero();
  }
}
