package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.TrunklineException;
import dev.trunkline.event.RecordsDropped;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What retention, and the removal of a topic, make of shared groups. */
class SharedRetentionTest extends UpkeepFixture {
  private static final Retention TEN_MINUTES = Retention.forever().withAge(Duration.ofMinutes(10));
  private static final PollOptions ALL = PollOptions.defaults().withMaxWait(Duration.ZERO);

  private final List<RecordsDropped> dropped = new CopyOnWriteArrayList<>();

  private final TrunklineListener listener =
      new TrunklineListener() {
        @Override
        public void recordsDropped(RecordsDropped event) {
          dropped.add(event);
        }
      };

  /** Three closed chunks of a hundred records, all past their age. */
  private Topic threeChunks(Retention retention) {
    Topic topic = topic(retention);
    for (int i = 0; i < 3; i++) {
      publish(topic, 100);
      roll();
    }
    anHourPasses();
    return topic;
  }

  private static SharedGroup group(Topic topic) {
    return topic.sharedGroup("billing", SharedGroupConfig.from(StartFrom.earliest()));
  }

  private static List<SharedDelivery> claim(SharedGroup group, int records) {
    List<SharedDelivery> claimed = new ArrayList<>();
    while (claimed.size() < records) {
      List<SharedDelivery> some = group.receive(ALL.withMaxRecords(records - claimed.size()));
      assertThat(some).isNotEmpty();
      claimed.addAll(some);
    }
    return claimed;
  }

  private static long start(Topic topic) {
    return topic.beginningOffsets().get(0);
  }

  @Test
  void hold_keeps_whatever_is_ahead_in_flight_or_waiting() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnread());
    SharedGroup billing = group(topic);
    upkeep.runOnce();
    assertThat(start(topic)).as("nothing is claimed").isZero();

    List<SharedDelivery> claimed = claim(billing, 250);
    upkeep.runOnce();
    assertThat(start(topic)).as("all is in flight").isZero();

    billing.ackAll(claimed.subList(0, 50));
    billing.ackAll(claimed.subList(51, 150));
    claimed.get(50).retry(Duration.ofHours(1));
    upkeep.runOnce();
    assertThat(start(topic)).as("one waits").isZero();

    database.execute("UPDATE trunkline.shared_waiting SET due_at = now()");
    claim(billing, 1).get(0).ack();
    upkeep.runOnce();
    assertThat(start(topic)).as("offset 150 is in flight").isEqualTo(100);

    billing.ackAll(claimed.subList(150, 250));
    upkeep.runOnce();
    assertThat(start(topic)).as("offset 250 is ahead").isEqualTo(200);
    billing.ackAll(claim(billing, 50));
    upkeepOn(database.dataSource(), listener).runOnce();
    assertThat(start(topic)).isEqualTo(300);
    assertThat(dropped).isEmpty();
  }

  @Test
  void a_paused_group_holds_what_it_has_not_settled_like_any_other() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnread());
    SharedGroup billing = group(topic);
    List<SharedDelivery> claimed = claim(billing, 150);
    billing.pause();
    billing.ackAll(claimed);

    upkeep.runOnce();

    assertThat(start(topic)).isEqualTo(100);
    assertThat(billing.lag().get(0).records()).isEqualTo(150);
    billing.resume();
    assertThat(claim(billing, 150)).hasSize(150);
  }

  @Test
  void a_dead_letter_holds_nothing_and_neither_does_its_way_back() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnread());
    SharedGroup billing = group(topic);
    List<SharedDelivery> claimed = claim(billing, 300);
    claimed.get(7).deadLetter("no address");
    claimed.remove(7);
    billing.ackAll(claimed);
    billing.deadLetters().replayAll();

    upkeep.runOnce();

    assertThat(start(topic)).isEqualTo(300);
    SharedDelivery back = claim(billing, 1).get(0);
    assertThat(back.record().offset()).isEqualTo(7);
    assertThat(back.message().text()).hasSize(1000);
    back.ack();
  }

  @Test
  void what_is_dropped_is_told_once_and_the_group_goes_on_with_what_is_left() {
    Topic topic = threeChunks(TEN_MINUTES.droppingUnread());
    SharedGroup billing = group(topic);
    List<SharedDelivery> claimed = claim(billing, 60);
    claimed.get(10).retry(Duration.ofHours(1));
    claimed.get(20).release();
    SharedDelivery held = claimed.get(30);
    billing.ackAll(claimed.subList(0, 10));
    publish(topic, 5);

    upkeepOn(database.dataSource(), listener).runOnce();

    assertThat(start(topic)).isEqualTo(300);
    assertThat(dropped)
        .containsExactly(
            new RecordsDropped("orders", "billing", 0, 10, 100),
            new RecordsDropped("orders", "billing", 0, 100, 200),
            new RecordsDropped("orders", "billing", 0, 200, 300));
    held.ack();
    claimed.get(31).deadLetter("gone meanwhile");
    List<SharedDelivery> left = claim(billing, 5);
    assertThat(left).extracting(delivery -> delivery.record().offset()).contains(300L, 304L);
    billing.ackAll(left);
    assertThat(billing.receive(ALL)).isEmpty();

    // What waits for an hour is of the past: it is no loss once more.
    roll();
    anHourPasses();
    dropped.clear();
    upkeepOn(database.dataSource(), listener).runOnce();
    assertThat(start(topic)).isEqualTo(305);
    assertThat(dropped).isEmpty();
    assertThat(database.number("SELECT count(*) FROM trunkline.dead_letter")).isZero();
  }

  @Test
  void up_to_a_cap_it_holds_and_beyond_it_the_oldest_goes() {
    Topic topic = threeChunks(TEN_MINUTES.holdingUnreadUpTo(1_500_000));
    SharedGroup billing = group(topic);
    List<SharedDelivery> claimed = claim(billing, 300);
    upkeepOn(database.dataSource(), listener).runOnce();
    assertThat(start(topic)).isZero();

    publish(topic, 1500);
    upkeepOn(database.dataSource(), listener).runOnce();

    assertThat(start(topic)).isPositive();
    assertThat(dropped).first().isEqualTo(new RecordsDropped("orders", "billing", 0, 0, 100));
    billing.ackAll(claimed);
  }

  @Test
  void a_deleted_topic_takes_its_shared_groups_along_while_they_are_at_work() {
    Topic topic = threeChunks(TEN_MINUTES);
    SharedGroup billing = group(topic);
    List<SharedDelivery> held = claim(billing, 20);
    held.get(0).retry(Duration.ofHours(1));
    held.get(1).deadLetter("before");
    AtomicInteger handled = new AtomicInteger();
    SharedConsumer consumer =
        billing.consume(
            delivery -> {
              handled.incrementAndGet();
              return Outcome.ack();
            });
    Awaits.until(() -> handled.get() > 100);

    topic.delete();
    Awaits.untilAsserted(
        () -> {
          upkeep.runOnce();
          assertThat(
                  database.number(
                      """
                      SELECT (SELECT count(*) FROM trunkline.topic) + (SELECT count(*) FROM trunkline.consumer_group)
                        + (SELECT count(*) FROM trunkline.shared_lease) + (SELECT count(*) FROM trunkline.shared_waiting)
                        + (SELECT count(*) FROM trunkline.group_member)
                      """))
              .isZero();
        });

    assertThatThrownBy(() -> Awaits.until(() -> !billing.receive(ALL).isEmpty()))
        .isInstanceOf(TrunklineException.class);
    assertThatThrownBy(held.get(2)::ack).isInstanceOf(TrunklineException.class);
    consumer.close();
    assertThat(database.number("SELECT count(*) FROM trunkline.dead_letter")).isEqualTo(1);
  }
}
