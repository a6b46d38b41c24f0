package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.deadletter.DeathReason;
import dev.trunkline.error.PayloadUnreadableException;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Retries, the limit, dead letters and their way back. */
class SharedFailureTest extends SharedGroupFixture {
  private List<String> letters(String columns) {
    return database
        .texts(
            "SELECT concat_ws(' ', "
                + columns
                + ") FROM trunkline.dead_letter WHERE topic = ? ORDER BY id",
            topic.name())
        .stream()
        .map(String::valueOf)
        .toList();
  }

  private SharedGroup withLimit(int maxDeliveries) {
    return topic.sharedGroup(
        "billing", CONFIG.withRetryPolicy(AT_ONCE.withMaxDeliveries(maxDeliveries)));
  }

  private static SharedDelivery one(SharedGroup group) {
    List<SharedDelivery> deliveries = group.receive(PATIENTLY);
    assertThat(deliveries).hasSize(1);
    return deliveries.get(0);
  }

  @Test
  void at_the_limit_a_record_is_dead_with_all_that_is_known_of_it() {
    topic.publish(Message.text("poison").withKey("k").withType("placed").withHeader("trace", "1"));
    SharedGroup billing = withLimit(3);
    one(billing).retry();
    one(billing).release();
    one(billing).retry();
    SharedDelivery last = one(billing);
    assertThat(last.attempt()).isEqualTo(3);
    assertThat(last.acquired()).isEqualTo(4);

    last.retry();

    assertThat(billing.receive(NOW)).isEmpty();
    assertThat(
            letters(
                """
                group_name, partition, "offset", reason, deliveries, acquired, key, type, headers,
                convert_from(payload, 'UTF8'), record_id
                """))
        .containsExactly(
            "billing %d 0 DELIVERY_LIMIT 3 4 k placed {\"trace\": \"1\"} poison %d"
                .formatted(last.record().partition(), last.record().id().value()));
    assertThat(count("shared_lease") + count("shared_waiting")).isZero();
    DeadRecord letter = billing.deadLetters().browse(10).get(0);
    assertThat(letter.record()).usingRecursiveComparison().isEqualTo(last.record());
    assertThat(letter.reason()).isEqualTo(DeathReason.DELIVERY_LIMIT);
  }

  @Test
  void lost_leases_count_and_the_last_one_is_a_death() {
    topic.publish(Message.text("poison"));
    SharedGroup billing = withLimit(2);
    for (int i = 0; i < 2; i++) {
      one(billing);
      assertThat(reapAt(Instant.now().plus(Duration.ofHours(1)))).isEqualTo(1);
    }

    assertThat(letters("reason, deliveries")).containsExactly("LEASE_EXPIRED 2");
    assertThat(billing.receive(NOW)).isEmpty();
  }

  @Test
  void what_is_rejected_not_retryable_or_unreadable_is_dead_at_once() {
    for (String text : List.of("rejected", "hopeless", "unreadable", "good")) {
      topic.publish(Message.text(text));
    }
    SharedGroup billing = billing();
    billing.consume(
        SharedConsumerConfig.defaults()
            .withNonRetryable(Set.of(UnsupportedOperationException.class)),
        delivery ->
            switch (delivery.message().text()) {
              case "rejected" -> Outcome.deadLetter("no address");
              case "hopeless" -> throw new UnsupportedOperationException("never");
              case "unreadable" ->
                  throw new PayloadUnreadableException(
                      "Order", "text/plain", new IllegalStateException("no JSON"));
              default -> Outcome.ack();
            });

    Awaits.until(() -> letters("id").size() == 3);

    assertThat(
            letters(
                """
                convert_from(payload, 'UTF8'), reason, deliveries,
                coalesce(detail, reverse(split_part(reverse(error_class), '.', 1)))
                """))
        .containsExactlyInAnyOrder(
            "rejected REJECTED 1 no address",
            "hopeless NON_RETRYABLE 1 UnsupportedOperationException",
            "unreadable UNREADABLE 1 PayloadUnreadableException");
    Awaits.until(() -> billing.lag().stream().allMatch(lag -> lag.records() == 0));
  }

  @Test
  void a_replay_goes_to_its_group_only_and_counts_from_zero() {
    topic.publish(Message.text("poison").withKey("k"));
    SharedGroup billing = withLimit(1);
    SharedGroup mailing = topic.sharedGroup("mailing", CONFIG);
    SharedDelivery first = one(billing);
    first.retry();
    one(mailing).ack();
    // Whatever retention has done meanwhile: the copy goes back.
    database.execute("DELETE FROM trunkline.record WHERE key = 'k'");

    assertThat(billing.deadLetters().replayAll()).isEqualTo(1);
    assertThat(billing.deadLetters().replayAll()).isZero();

    SharedDelivery again = one(billing);
    assertThat(again.record()).usingRecursiveComparison().isEqualTo(first.record());
    assertThat(again.attempt()).isEqualTo(1);
    assertThat(mailing.receive(NOW)).isEmpty();
    again.release();
    one(billing).ack();
    assertThat(count("group_redelivery")).isZero();
    assertThat(letters("id")).isEmpty();
  }

  @Test
  void what_dies_again_keeps_the_history_of_its_deaths() {
    topic.publish(Message.text("poison"));
    SharedGroup billing = withLimit(1);
    one(billing).deadLetter("first");
    billing.deadLetters().replayAll();
    one(billing).deadLetter("second");
    long letter = database.number("SELECT max(id) FROM trunkline.dead_letter");
    assertThat(billing.deadLetters().replay(List.of(letter, letter, -1L))).isEqualTo(1);
    one(billing);
    reapAt(Instant.now().plus(Duration.ofHours(1)));

    assertThat(
            letters(
                "reason, deaths->0->>'detail', deaths->1->>'detail', convert_from(payload, 'UTF8')"))
        .containsExactly("LEASE_EXPIRED second first poison");
    assertThat(count("group_redelivery")).isZero();
  }

  @Test
  void each_letter_goes_back_once_whoever_replays() throws InterruptedException {
    publish(200);
    SharedGroup billing = billing();
    List<SharedDelivery> all = new ArrayList<>();
    while (all.size() < 200) {
      all.addAll(billing.receive(PATIENTLY));
    }
    all.forEach(delivery -> delivery.deadLetter("all of them"));
    List<Thread> replayers = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Thread replayer = new Thread(billing.deadLetters()::replayAll);
      replayer.start();
      replayers.add(replayer);
    }
    for (Thread replayer : replayers) {
      replayer.join();
    }
    billing.deadLetters().replayAll();

    List<SharedDelivery> again = new ArrayList<>();
    while (again.size() < 200) {
      List<SharedDelivery> some = billing.receive(PATIENTLY);
      assertThat(some).isNotEmpty();
      again.addAll(some);
    }
    assertThat(texts(again)).isEqualTo(texts(all));
    billing.ackAll(again);
    assertThat(billing.receive(NOW)).isEmpty();
  }

  @Test
  void what_compaction_removed_before_it_was_given_up_leaves_no_letter_and_no_error() {
    topic.publish(Message.text("old").withKey("k"));
    SharedGroup billing = billing();
    SharedDelivery delivery = one(billing);
    database.execute("DELETE FROM trunkline.record WHERE key = 'k'");

    delivery.deadLetter("too late");

    assertThat(letters("id")).isEmpty();
    assertThat(count("shared_lease")).isZero();
  }

  @Test
  void an_altered_policy_is_obeyed_at_once() {
    topic.publish(Message.text("poison"));
    SharedGroup billing = withLimit(1_000);
    one(billing).retry();
    topic.alterSharedGroup("billing", CONFIG.withRetryPolicy(AT_ONCE.withMaxDeliveries(2)));

    one(billing).retry();

    assertThat(letters("reason, deliveries")).containsExactly("DELIVERY_LIMIT 2");
  }
}
