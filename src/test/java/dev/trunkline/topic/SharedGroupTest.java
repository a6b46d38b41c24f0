package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.GroupBusyException;
import dev.trunkline.error.GroupConfigMismatchException;
import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Pulling, settling, and what a shared group makes of the log. */
class SharedGroupTest extends SharedGroupFixture {
  private static final Instant LATER = Instant.now().plus(Duration.ofHours(1));

  @Test
  void a_record_arrives_as_it_was_published_with_its_place_in_the_log() {
    SharedGroup billing = billing();
    topic.publish(
        Message.text("hello").withKey("customer-42").withType("placed").withHeader("a", "b"));

    SharedDelivery delivery = billing.receive(PATIENTLY).get(0);

    assertThat(delivery.record())
        .usingRecursiveComparison()
        .isEqualTo(topic.read(delivery.record().partition(), 0, 10).get(0));
    assertThat(delivery.message().headers()).containsEntry("a", "b");
    assertThat(delivery.attempt()).isEqualTo(1);
    assertThat(delivery.acquired()).isEqualTo(1);
    assertThat(delivery.isRedelivered()).isFalse();
    assertThat(delivery.group()).isEqualTo("billing");
    delivery.ack();
  }

  @Test
  void what_is_claimed_is_hidden_and_what_is_acked_is_done() {
    publish(20);
    SharedGroup billing = billing();
    List<SharedDelivery> first = billing.receive(NOW.withMaxRecords(7));
    List<SharedDelivery> rest = billing.receive(NOW);

    assertThat(first).hasSize(7);
    assertThat(rest).hasSize(13);
    assertThat(billing.receive(NOW)).isEmpty();

    first.get(0).ack();
    billing.ackAll(first.subList(1, 7));
    billing.ackAll(rest);

    assertThat(reapAt(LATER)).isZero();
    assertThat(billing.receive(NOW)).isEmpty();
    assertThat(billing.lag()).allMatch(lag -> lag.records() == 0);
  }

  @Test
  void a_claim_is_bounded_by_the_bytes_as_well_and_answers_one_record_whatever_its_size() {
    for (int i = 0; i < 4; i++) {
      topic.publish(Message.text("x".repeat(1_000)).withKey("same"));
      topic.endOffsets();
    }
    SharedGroup billing = billing();

    assertThat(billing.receive(NOW.withMaxBytes(1))).hasSize(1);
    assertThat(billing.receive(NOW.withMaxBytes(2_500))).hasSizeBetween(2, 3);
  }

  @Test
  void an_expired_lease_is_delivered_again_and_the_late_settle_is_refused() {
    publish(3);
    SharedGroup billing = billing();
    List<SharedDelivery> late = billing.receive(NOW);

    assertThat(reapAt(Instant.now())).as("not yet").isZero();
    assertThat(reapAt(LATER)).isPositive();

    List<SharedDelivery> again = billing.receive(NOW);
    assertThat(texts(again)).isEqualTo(texts(late));
    assertThat(again).allMatch(delivery -> delivery.attempt() == 2 && delivery.acquired() == 2);
    SharedDelivery lost = late.get(0);
    assertThatThrownBy(lost::ack)
        .isInstanceOfSatisfying(
            LeaseLostException.class,
            e -> {
              assertThat(e.topic()).isEqualTo(topic.name());
              assertThat(e.group()).isEqualTo("billing");
              assertThat(e.offset()).isEqualTo(lost.record().offset());
            })
        .hasMessageContaining("group \"billing\"");
    assertThatThrownBy(late.get(1)::retry).isInstanceOf(LeaseLostException.class);
    assertThatThrownBy(() -> late.get(2).extend(Duration.ofMinutes(1)))
        .isInstanceOf(LeaseLostException.class);
    billing.ackAll(again);
    assertThat(count("shared_waiting")).isZero();
  }

  @Test
  void a_delivery_is_settled_once() {
    publish(1);
    SharedDelivery delivery = billing().receive(PATIENTLY).get(0);
    delivery.ack();

    assertThatThrownBy(delivery::release).isInstanceOf(LeaseLostException.class);
    assertThat(count("shared_waiting")).isZero();
  }

  @Test
  void an_ack_of_the_rest_spares_what_a_crash_of_the_server_has_put_back_into_the_lease() {
    topic.publish(Message.text("retried").withKey("same"));
    topic.publish(Message.text("acked").withKey("same"));
    SharedGroup billing = billing();
    List<SharedDelivery> batch = billing.receive(NOW);
    batch.get(0).retry(Duration.ofMinutes(5));
    // As if its commit, which does not wait for the disk, had not reached it.
    database.execute("DELETE FROM trunkline.shared_waiting");
    database.execute(
        """
        UPDATE trunkline.shared_lease
        SET offsets = 0::bigint || offsets, ids = %d::bigint || ids, deliveries = 0 || deliveries, acquired = 1 || acquired
        """
            .formatted(batch.get(0).record().id().value()));

    batch.get(1).ack();

    assertThat(reapAt(LATER)).isEqualTo(1);
    assertThat(texts(billing.receive(NOW))).containsExactly("retried");
  }

  @Test
  void a_lease_whose_id_another_claim_got_after_a_crash_of_the_server_is_not_acked() {
    topic.publish(Message.text("undone").withKey("same"));
    topic.publish(Message.text("other").withKey("same"));
    SharedGroup billing = billing();
    SharedDelivery undone = billing.receive(NOW.withMaxRecords(1)).get(0);
    SharedDelivery other = billing.receive(NOW.withMaxRecords(1)).get(0);
    // As if the first claim had not reached the disk, and its id had been given out again.
    database.execute("DELETE FROM trunkline.shared_lease WHERE id = ?", other.lease().id());
    database.execute(
        "UPDATE trunkline.shared_lease SET offsets = ARRAY[1::bigint], ids = ARRAY[?::bigint] WHERE id = ?",
        other.record().id().value(),
        undone.lease().id());

    assertThatThrownBy(undone::ack).isInstanceOf(LeaseLostException.class);

    assertThat(count("shared_lease")).isEqualTo(1);
  }

  @Test
  void ack_all_acks_what_is_held_and_says_that_something_was_not() {
    publish(6);
    SharedGroup billing = billing();
    List<SharedDelivery> deliveries = billing.receive(NOW);
    deliveries.get(2).release();

    assertThatThrownBy(() -> billing.ackAll(deliveries)).isInstanceOf(LeaseLostException.class);

    List<SharedDelivery> again = billing.receive(NOW);
    assertThat(texts(again)).containsExactly(deliveries.get(2).message().text());
    billing.ackAll(again);
  }

  @Test
  void a_release_burns_no_attempt_and_a_retry_does() {
    publish(2);
    SharedGroup billing = billing();
    List<SharedDelivery> deliveries = billing.receive(NOW);
    deliveries.get(0).release();
    deliveries.get(1).retry();

    List<SharedDelivery> again = billing.receive(NOW);

    assertThat(again).hasSize(2).allMatch(SharedDelivery::isRedelivered);
    for (SharedDelivery delivery : again) {
      boolean released = delivery.message().text().equals(deliveries.get(0).message().text());
      assertThat(delivery.attempt()).isEqualTo(released ? 1 : 2);
      assertThat(delivery.acquired()).isEqualTo(2);
    }
  }

  @Test
  void a_delay_is_waited_for() {
    publish(1);
    SharedGroup billing = billing();
    billing.receive(PATIENTLY).get(0).retry(Duration.ofMillis(400));
    long begin = System.nanoTime();

    assertThat(billing.receive(NOW)).isEmpty();
    List<SharedDelivery> again = billing.receive(PATIENTLY);

    assertThat(again).hasSize(1);
    assertThat(Duration.ofNanos(System.nanoTime() - begin))
        .isBetween(Duration.ofMillis(300), Duration.ofSeconds(5));
  }

  @Test
  void the_backoff_is_that_of_the_policy() {
    SharedGroup billing =
        topic.sharedGroup("slow", CONFIG.withRetryPolicy(RetryPolicyOf.minutes(10)));
    publish(1);
    billing.receive(PATIENTLY).get(0).retry();

    assertThat(
            database.number(
                "SELECT extract(epoch FROM due_at - clock_timestamp())::bigint FROM trunkline.shared_waiting"))
        .isBetween(590L, 601L);
    assertThat(billing.receive(NOW)).isEmpty();
  }

  /** Without jitter. */
  private static final class RetryPolicyOf {
    private RetryPolicyOf() {}

    static dev.trunkline.retry.RetryPolicy minutes(int minutes) {
      return AT_ONCE
          .withDelays(Duration.ofMinutes(minutes), Duration.ofMinutes(minutes))
          .withJitter(dev.trunkline.retry.Jitter.NONE);
    }
  }

  @Test
  void extending_one_record_leaves_the_others_of_the_batch_their_time() {
    publish(4);
    SharedGroup billing = billing();
    List<SharedDelivery> deliveries = billing.receive(NOW, Duration.ofMinutes(1));
    deliveries.get(0).extend(Duration.ofHours(2));

    reapAt(LATER);

    assertThat(texts(billing.receive(NOW)))
        .containsExactlyElementsOf(texts(deliveries.subList(1, 4)));
    deliveries.get(0).ack();
  }

  @Test
  void a_transaction_that_commits_late_is_delivered_after_others_were_and_once()
      throws SQLException {
    SharedGroup billing = billing();
    try (Connection connection = database.connect()) {
      connection.setAutoCommit(false);
      topic.publish(connection, Message.text("late").withKey("a"));
      topic.publish(Message.text("early").withKey("a"));
      List<SharedDelivery> early = billing.receive(PATIENTLY);
      assertThat(texts(early)).containsExactly("early");
      billing.ackAll(early);
      assertThat(billing.receive(NOW)).isEmpty();

      connection.commit();
    }
    List<SharedDelivery> late = billing.receive(NOW);
    assertThat(texts(late)).containsExactly("late");
    billing.ackAll(late);
  }

  @Test
  void a_new_group_starts_where_it_says() {
    publish(5);
    assertThat(topic.sharedGroup("new", CONFIG).receive(NOW)).hasSize(5);
    SharedGroup latest =
        topic.sharedGroup(
            "latest",
            new SharedGroupConfig(
                StartFrom.latest(),
                CONFIG.visibilityTimeout(),
                CONFIG.retryPolicy(),
                CONFIG.sessionTimeout()));
    assertThat(latest.receive(NOW)).isEmpty();
    topic.publish(Message.text("next"));
    assertThat(texts(latest.receive(NOW))).containsExactly("next");
  }

  @Test
  void a_group_that_exists_goes_on_where_it_was_and_must_be_declared_alike() {
    publish(5);
    SharedGroup billing = billing();
    billing.ackAll(billing.receive(NOW));
    billing.close();

    assertThat(billing().receive(NOW)).isEmpty();
    SharedGroupConfig other = CONFIG.withVisibilityTimeout(Duration.ofSeconds(7));
    assertThatThrownBy(() -> topic.sharedGroup("billing", other))
        .isInstanceOf(GroupConfigMismatchException.class);
    SharedGroup altered = topic.alterSharedGroup("billing", other);
    topic.publish(Message.text("next"));
    altered.receive(PATIENTLY);
    assertThat(
            database.number(
                "SELECT extract(epoch FROM visible_at - clock_timestamp())::bigint FROM trunkline.shared_lease"))
        .isBetween(4L, 7L);
  }

  @Test
  void a_group_is_ordered_or_shared_and_stays_so() {
    topic.join("ordered", GroupConfig.from(StartFrom.earliest())).close();
    assertThatThrownBy(() -> topic.sharedGroup("ordered", CONFIG))
        .isInstanceOf(GroupConfigMismatchException.class);
    billing();
    assertThatThrownBy(() -> topic.join("billing", GroupConfig.from(StartFrom.earliest())))
        .isInstanceOf(GroupConfigMismatchException.class);
  }

  @Test
  void an_ordered_and_a_shared_group_do_not_disturb_each_other() {
    publish(50);
    SharedGroup billing = billing();
    List<SharedDelivery> held = billing.receive(NOW);
    Set<String> polled = new HashSet<>();
    try (GroupConsumer ordered = topic.join("ledger", GroupConfig.from(StartFrom.earliest()))) {
      while (polled.size() < 50) {
        ordered.poll(Duration.ofSeconds(20)).forEach(r -> polled.add(r.message().text()));
      }
      ordered.commit();
    }
    held.forEach(SharedDelivery::retry);
    List<SharedDelivery> again = billing.receive(NOW);

    assertThat(polled).hasSize(50);
    assertThat(again).hasSize(50);
    billing.ackAll(again);
    assertThat(
            database.texts(
                "SELECT DISTINCT kind || ' ' || lag FROM trunkline.group_lag WHERE topic = '%s' ORDER BY 1"
                    .formatted(topic.name())))
        .containsExactly("ORDERED 0", "SHARED 0");
    assertThat(
            database.texts(
                """
                SELECT concat_ws(' ', "group", kind, free_partitions, lag, lag_time, dead)
                FROM trunkline.groups
                WHERE topic = '%s'
                ORDER BY kind
                """
                    .formatted(topic.name())))
        .satisfiesExactly(
            ordered -> assertThat(ordered).matches("ledger ORDERED \\d+ 0 00:00:00 0"),
            shared -> assertThat(shared).isEqualTo("billing SHARED 0 0 00:00:00 0"));
  }

  @Test
  void what_compaction_has_removed_is_skipped() {
    publish(10);
    topic.endOffsets();
    database.execute(
        "DELETE FROM trunkline.record WHERE topic_id = ? AND convert_from(payload, 'UTF8') IN ('2', '5')",
        topicId());
    SharedGroup billing = billing();

    List<SharedDelivery> deliveries = billing.receive(NOW);

    assertThat(texts(deliveries)).containsExactly("0", "1", "3", "4", "6", "7", "8", "9");
    billing.ackAll(deliveries);
    assertThat(count("shared_lease")).isZero();
  }

  @Test
  void what_retention_has_dropped_is_skipped() {
    for (int i = 0; i < 4; i++) {
      topic.publish(Message.text("old-" + i).withKey("same"));
      topic.endOffsets();
    }
    SharedGroup billing = billing();
    topic.publish(Message.text("new").withKey("same"));
    topic.endOffsets();
    database.execute(
        """
        DELETE FROM trunkline.segment WHERE topic_id = %1$d AND base_offset < 4;
        DELETE FROM trunkline.record WHERE topic_id = %1$d AND convert_from(payload, 'UTF8') LIKE 'old-%%';
        UPDATE trunkline.topic_partition SET log_start = 4
        WHERE topic_id = %1$d AND partition = (SELECT min(partition) FROM trunkline.segment WHERE topic_id = %1$d)
        """
            .formatted(topicId()));

    List<SharedDelivery> deliveries = billing.receive(NOW);

    assertThat(texts(deliveries)).containsExactly("new");
    billing.ackAll(deliveries);
    assertThat(billing.receive(NOW)).isEmpty();
  }

  @Test
  void partitions_that_come_while_the_group_exists_are_read_from_their_beginning() {
    SharedGroup billing = billing();
    assertThat(billing.receive(NOW)).isEmpty();
    Topic grown = trunkline.alterTopic(topic.name(), topic.config().withPartitions(6));
    for (int i = 0; i < 60; i++) {
      grown.publish(Message.text(String.valueOf(i)).withKey("key-" + i));
    }

    List<SharedDelivery> all = new ArrayList<>();
    while (all.size() < 60) {
      List<SharedDelivery> some = billing.receive(PATIENTLY);
      assertThat(some).isNotEmpty();
      all.addAll(some);
    }

    assertThat(all.stream().map(d -> d.record().partition()).distinct()).hasSizeGreaterThan(2);
    billing.ackAll(all);
  }

  @Test
  void what_a_group_has_not_settled_it_still_needs() {
    for (int i = 0; i < 6; i++) {
      topic.publish(Message.text(String.valueOf(i)).withKey("same"));
    }
    SharedGroup billing = billing();
    List<SharedDelivery> deliveries = billing.receive(NOW);
    deliveries.get(0).ack();
    deliveries.get(1).retry(Duration.ofMinutes(5));
    deliveries.get(2).ack();
    assertThat(needed()).as("waiting").isEqualTo(1);
    database.execute("UPDATE trunkline.shared_waiting SET due_at = now()");
    SharedDelivery waited = billing.receive(NOW).get(0);
    assertThat(needed()).as("leased again").isEqualTo(1);
    waited.ack();
    assertThat(needed()).as("leased").isEqualTo(3);
    assertThat(topic.group("billing").lagInRecords()).isEqualTo(3);
    billing.ackAll(deliveries.subList(3, 6));
    assertThat(needed()).as("nothing").isEqualTo(-1);
    assertThat(topic.group("billing").lagInRecords()).isZero();
  }

  /** The lowest offset that retention must leave to the group; -1 if there is none. */
  private long needed() {
    return database.number(
        "SELECT coalesce(min(from_offset), -1) FROM trunkline.unread_in_chunk(?::integer, 0)",
        topicId());
  }

  @Test
  void the_lag_counts_what_is_ready_in_flight_and_waiting() {
    publish(30);
    SharedGroup billing = billing();
    topic.endOffsets();
    List<SharedDelivery> deliveries = billing.receive(NOW.withMaxRecords(9));
    deliveries.get(0).ack();
    deliveries.get(1).retry(Duration.ofMinutes(5));
    deliveries.get(2).release();

    List<SharedLag> lag = billing.lag();

    assertThat(lag).hasSize(2);
    assertThat(lag.stream().mapToLong(SharedLag::ready).sum()).isEqualTo(21);
    assertThat(lag.stream().mapToLong(SharedLag::inFlight).sum()).isEqualTo(6);
    assertThat(lag.stream().mapToLong(SharedLag::waiting).sum()).isEqualTo(2);
    assertThat(lag.stream().mapToLong(SharedLag::records).sum()).isEqualTo(29);
    assertThat(
            database.text(
                """
                SELECT concat_ws(' ', sum(lag), sum(in_flight), sum(waiting), min(lag_time) > interval '0')
                FROM trunkline.group_lag
                WHERE kind = 'SHARED'
                """))
        .isEqualTo("29 6 2 t");
  }

  @Test
  void a_reset_needs_a_group_at_rest_and_forgets_what_was_pending() {
    publish(10);
    SharedGroup billing = billing();
    List<SharedDelivery> deliveries = billing.receive(NOW);
    deliveries.get(0).retry(Duration.ofMinutes(5));
    assertThatThrownBy(() -> billing.reset(StartFrom.earliest()))
        .isInstanceOf(GroupBusyException.class);
    billing.close();

    SharedGroup again = billing();
    again.reset(StartFrom.earliest());

    List<SharedDelivery> all = again.receive(NOW);
    assertThat(all).hasSize(10).noneMatch(SharedDelivery::isRedelivered);
    again.ackAll(all);
    assertThat(count("shared_waiting")).isZero();
  }

  @Test
  void closing_gives_back_what_was_received_and_burns_no_attempt() {
    publish(3);
    SharedGroup billing = billing();
    List<SharedDelivery> held = billing.receive(NOW);
    billing.close();
    billing.close();

    assertThatThrownBy(() -> billing.receive(NOW)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(held.get(0)::ack).isInstanceOf(LeaseLostException.class);
    assertThat(billing().receive(NOW)).hasSize(3).allMatch(delivery -> delivery.attempt() == 1);
  }

  @Test
  void a_deleted_group_leaves_nothing_but_its_dead_letters() {
    publish(5);
    SharedGroup billing = billing();
    List<SharedDelivery> deliveries = billing.receive(NOW);
    deliveries.get(0).deadLetter("no");
    deliveries.get(1).retry(Duration.ofMinutes(5));
    SharedGroup another = billing();
    another.receive(NOW);

    billing.delete();

    assertThat(count("shared_lease") + count("shared_waiting")).isZero();
    assertThatThrownBy(billing::delete).isInstanceOf(GroupNotFoundException.class);
    assertThatThrownBy(() -> another.receive(PATIENTLY)).isInstanceOf(GroupNotFoundException.class);
    assertThat(
            database.number(
                "SELECT count(*) FROM trunkline.dead_letter WHERE topic = ?", topic.name()))
        .isEqualTo(1);
  }

  @Test
  void arguments_out_of_range_are_refused_by_name_and_value() {
    assertThatThrownBy(() -> CONFIG.withVisibilityTimeout(Duration.ZERO))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("visibilityTimeout")
        .hasMessageContaining("PT0S");
    assertThatThrownBy(() -> CONFIG.withSessionTimeout(Duration.ofMillis(99)))
        .hasMessageContaining("sessionTimeout");
    assertThatThrownBy(() -> SharedConsumerConfig.defaults().withConcurrency(0))
        .hasMessageContaining("concurrency");
    assertThatThrownBy(() -> SharedConsumerConfig.defaults().withPrefetch(9))
        .hasMessageContaining("prefetch");
    assertThatThrownBy(
            () ->
                topic
                    .sharedGroup("short", CONFIG.withSessionTimeout(Duration.ofMillis(200)))
                    .receive(NOW))
        .hasMessageContaining("sessionTimeout");
    assertThatThrownBy(() -> billing().receive(NOW, Duration.ofHours(13)))
        .hasMessageContaining("visibilityTimeout");
  }

  private long topicId() {
    return database.number("SELECT id FROM trunkline.topic WHERE name = ?", topic.name());
  }
}
