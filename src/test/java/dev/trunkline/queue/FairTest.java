package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Tenants take turns. */
class FairTest extends QueueFixture {
  private Queue fair;

  @BeforeEach
  void declare_the_fair_queue() {
    fair = trunkline.queue("fair", CONFIG.withFairByKey());
  }

  private void send(String tenant, int count) {
    fair.sendAll(
        IntStream.range(0, count)
            .mapToObj(i -> Message.text(tenant + "-" + i).withKey(tenant))
            .toList());
  }

  private static Map<String, Long> perTenant(List<Delivery> deliveries) {
    return deliveries.stream()
        .collect(
            Collectors.groupingBy(d -> d.message().key().orElseThrow(), Collectors.counting()));
  }

  @Test
  void a_quiet_tenant_is_served_within_the_next_claim_however_much_of_a_noisy_one_waits() {
    send("noisy", 100_000);
    for (int i = 0; i < 20; i++) {
      fair.ackAll(fair.receive(100));
    }
    send("quiet", 1);

    List<Delivery> next = fair.receive(10);

    assertThat(perTenant(next)).containsEntry("quiet", 1L).containsEntry("noisy", 9L);
    fair.ackAll(next);
    fair.purge();
  }

  @Test
  void what_is_sent_one_by_one_before_anybody_claims_is_one_turn() {
    for (int i = 0; i < 200; i++) {
      send("noisy", 1);
    }
    send("quiet", 1);

    assertThat(database.number("SELECT count(*) FROM trunkline.turn")).isEqualTo(2);
    assertThat(perTenant(fair.receive(2))).containsEntry("quiet", 1L).containsEntry("noisy", 1L);
  }

  @Test
  void a_claim_is_shared_equally_and_turns_go_round() {
    send("a", 100);
    send("b", 100);
    send("c", 2);

    assertThat(perTenant(fair.receive(30)))
        .containsEntry("a", 14L)
        .containsEntry("b", 14L)
        .containsEntry("c", 2L);
    assertThat(perTenant(fair.receive(1))).hasSize(1);
    assertThat(perTenant(fair.receive(2))).hasSize(2);
  }

  @Test
  void a_tenant_may_be_in_several_leases_and_what_fails_or_waits_comes_back() {
    send("a", 3);
    Delivery first = fair.receive(1).get(0);
    Delivery second = fair.receive(1).get(0);
    first.release();
    second.retry(Duration.ofHours(1));
    assertThat(count("scheduled")).isOne();

    List<Delivery> rest = received(2);
    assertThat(texts(rest)).containsExactlyInAnyOrder("a-0", "a-2");
    promoteAll();
    List<Delivery> due = received(1);
    assertThat(texts(due)).containsExactly("a-1");
    assertThat(due.get(0).attempt()).isEqualTo(2);
    rest.forEach(delivery -> delivery.deadLetter("no"));
    due.get(0).ack();
    assertThat(fair.deadLetters().replayAll()).isEqualTo(2);
    assertThat(received(2)).hasSize(2);
  }

  /**
   * As many as these, by one claim or several: what comes back stands in front of where the last
   * claim has come to, and the next may look from there.
   */
  private List<Delivery> received(int count) {
    List<Delivery> received = new ArrayList<>();
    Awaits.until(
        () -> {
          received.addAll(fair.receive(10));
          return received.size() >= count;
        });
    return received;
  }

  @Test
  void everything_is_handled_once_by_competing_consumers_and_no_key_is_left_behind() {
    Set<String> handled = ConcurrentHashMap.newKeySet();
    List<String> twice = new ArrayList<>();
    Handler handler =
        delivery -> {
          if (!handled.add(delivery.message().text())) {
            twice.add(delivery.message().text());
          }
          return Outcome.ack();
        };
    Consumer here = fair.consume(handlers(4), handler);
    Consumer there = open(OPENED).queue("fair").consume(handlers(4), handler);
    for (int tenant = 0; tenant < 5; tenant++) {
      send("t" + tenant, 400);
    }
    Awaits.until(() -> handled.size() == 2_000);
    Awaits.untilAsserted(
        () -> {
          for (String table : List.of("turn", "turn_later", "open_key", "key_mark", "lease")) {
            assertThat(database.number("SELECT count(*) FROM trunkline." + table))
                .as(table)
                .isZero();
          }
        });
    here.close();
    there.close();
    assertThat(twice).isEmpty();
  }

  @Test
  void a_message_without_a_tenant_is_refused() {
    assertThatThrownBy(() -> fair.send(Message.text("x")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("must have a key");
  }
}
