package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.MigrationMode;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.GroupNotFoundException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.message.Outcome;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class SharedPauseTest extends SharedGroupFixture {
  private static final Instant LATER = Instant.now().plus(Duration.ofHours(1));

  /** With notifications, and without anything else that would come before them. */
  private static final TrunklineConfig NOTIFIED =
      TrunklineConfig.defaults()
          .withMigrationMode(MigrationMode.OFF)
          .withHeartbeatTimeout(Duration.ofSeconds(60))
          .withPollInterval(Duration.ofSeconds(10));

  private static final SharedGroupConfig SELDOM_SEEN =
      CONFIG.withSessionTimeout(Duration.ofSeconds(60));

  private final List<String> handled = new CopyOnWriteArrayList<>();

  private Outcome note(SharedDelivery delivery) {
    handled.add(delivery.message().text());
    return Outcome.ack();
  }

  private SharedGroup elsewhere() {
    return open().topic(topic.name()).sharedGroup("billing", CONFIG);
  }

  private static SharedConsumerConfig handlers(int concurrency) {
    return SharedConsumerConfig.defaults().withConcurrency(concurrency);
  }

  private static long records(SharedGroup group) {
    return group.lag().stream().mapToLong(SharedLag::records).sum();
  }

  private String shown(String group) {
    return database.text(
        "SELECT paused::text FROM trunkline.groups WHERE topic = '%s' AND \"group\" = '%s'"
            .formatted(topic.name(), group));
  }

  @Test
  void a_paused_group_delivers_nothing_in_any_process_and_still_counts_its_lag() {
    SharedGroup billing = billing();
    SharedGroup elsewhere = elsewhere();
    publish(2);

    elsewhere.pause();
    topic.publish(Message.text("2"));

    assertThat(billing.isPaused()).isTrue();
    assertThat(billing.receive(NOW)).isEmpty();
    assertThat(elsewhere.receive(PollOptions.defaults().withMaxWait(Duration.ofMillis(300))))
        .isEmpty();
    assertThat(count("shared_lease")).isZero();
    assertThat(records(billing)).isEqualTo(3);
    billing.resume();
    assertThat(elsewhere.isPaused()).isFalse();
    assertThat(texts(elsewhere.receive(NOW))).containsExactly("0", "1", "2");
  }

  @Test
  void what_is_in_flight_can_be_settled_while_a_group_is_paused_and_nothing_of_it_comes_back() {
    SharedGroup billing = billing();
    publish(5);
    List<SharedDelivery> held = billing.receive(NOW);

    billing.pause();
    held.get(0).ack();
    held.get(1).retry();
    held.get(2).release();
    held.get(3).deadLetter("no");
    held.get(4).extend(Duration.ofHours(2));
    reapAt(LATER);

    assertThat(billing.receive(NOW)).isEmpty();
    assertThat(count("shared_waiting")).isEqualTo(2);
    assertThat(count("shared_lease")).isEqualTo(1);
    assertThat(count("dead_letter")).isEqualTo(1);
    billing.resume();
    assertThat(texts(billing.receive(NOW)))
        .containsExactlyInAnyOrder(held.get(1).message().text(), held.get(2).message().text());
    held.get(4).ack();
  }

  @Test
  void a_paused_group_still_takes_back_what_expires() {
    SharedGroup billing = billing();
    publish(1);
    billing.receive(PATIENTLY);
    billing.pause();

    assertThat(reapAt(LATER)).isEqualTo(1);

    assertThat(count("shared_waiting")).isEqualTo(1);
    assertThat(billing.receive(NOW)).isEmpty();
  }

  @Test
  void a_long_poll_waits_through_a_pause_and_a_resume_wakes_it_at_once_in_other_processes()
      throws Exception {
    SharedGroup here = open(NOTIFIED).topic(topic.name()).sharedGroup("billing", SELDOM_SEEN);
    SharedGroup there = open(NOTIFIED).topic(topic.name()).sharedGroup("billing", SELDOM_SEEN);
    there.receive(NOW);
    awaitListeners(1);
    here.pause();
    publish(50);
    topic.endOffsets();
    List<String> consumed = new CopyOnWriteArrayList<>();
    there.consume(
        handlers(1),
        delivery -> {
          consumed.add(delivery.message().text());
          return Outcome.ack();
        });
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      Future<List<SharedDelivery>> polled = threads.submit(() -> here.receive(one(PATIENTLY)));
      Future<List<SharedDelivery>> far = threads.submit(() -> there.receive(one(PATIENTLY)));
      awaitListeners(2);
      Awaits.await()
          .during(Duration.ofMillis(1_500))
          .until(() -> !polled.isDone() && !far.isDone() && count("shared_lease") == 0);
      assertThat(consumed).isEmpty();
      long begin = System.nanoTime();

      here.resume();

      assertThat(polled.get(10, TimeUnit.SECONDS)).hasSize(1);
      assertThat(far.get(10, TimeUnit.SECONDS)).hasSize(1);
      Awaits.until(() -> consumed.size() == 48);
      assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(5));
    } finally {
      threads.shutdownNow();
    }
  }

  private static PollOptions one(PollOptions options) {
    return options.withMaxRecords(1);
  }

  private void awaitListeners(int count) {
    Awaits.until(
        () ->
            database.number(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
                == count);
  }

  @Test
  void consumers_stop_claiming_when_another_process_pauses_and_go_on_when_it_resumes() {
    SharedGroup billing = billing();
    SharedGroup elsewhere = elsewhere();
    publish(20);
    billing.consume(handlers(2), this::note);
    Awaits.until(() -> handled.size() == 20);

    elsewhere.pause();
    publish(10);
    topic.endOffsets();
    Awaits.await()
        .during(Duration.ofMillis(300))
        .until(() -> handled.size() == 20 && records(billing) == 10);
    elsewhere.resume();

    Awaits.until(() -> handled.size() == 30);
  }

  @Test
  void a_pause_and_a_resume_by_sql_are_seen_without_any_notification() {
    SharedGroup billing = billing();
    database.execute("UPDATE trunkline.consumer_group SET paused = true");
    publish(10);
    topic.endOffsets();
    billing.consume(handlers(2), this::note);
    Awaits.await()
        .during(Duration.ofMillis(1_500))
        .until(() -> handled.isEmpty() && records(billing) == 10);

    database.execute("UPDATE trunkline.consumer_group SET paused = false");

    Awaits.until(() -> handled.size() == 10);
  }

  @Test
  void what_waits_for_a_handler_is_given_back_uncounted_in_all_processes_and_what_runs_finishes() {
    SharedGroup billing = billing();
    SharedGroup elsewhere = elsewhere();
    CountDownLatch finish = new CountDownLatch(1);
    List<String> begun = new CopyOnWriteArrayList<>();
    AtomicInteger calls = new AtomicInteger();
    // A stream of quick ones makes it claim ahead.
    SharedHandler handler =
        delivery -> {
          if (calls.incrementAndGet() > 400) {
            begun.add(delivery.message().text());
            assertThat(finish.await(20, TimeUnit.SECONDS)).isTrue();
          }
          return note(delivery);
        };
    publish(1_000);
    topic.endOffsets();
    billing.consume(handlers(1).withPrefetch(50), handler);
    elsewhere.consume(handlers(1).withPrefetch(50), handler);
    Awaits.until(() -> begun.size() == 2 && inFlight(billing) > 2);

    elsewhere.pause();

    Awaits.until(() -> inFlight(billing) == 2);
    finish.countDown();
    Awaits.until(() -> inFlight(billing) == 0);
    assertThat(handled).hasSize(402).containsAll(begun);
    billing.close();
    elsewhere.close();
    SharedGroup after = billing();
    after.resume();
    List<SharedDelivery> rest = after.receive(NOW.withMaxRecords(1_000));
    assertThat(rest)
        .hasSize(598)
        .allMatch(delivery -> delivery.attempt() == 1)
        .anyMatch(SharedDelivery::isRedelivered);
  }

  private static long inFlight(SharedGroup group) {
    return group.lag().stream().mapToLong(SharedLag::inFlight).sum();
  }

  @Test
  void pausing_twice_is_pausing_once_and_a_pause_outlives_the_processes() {
    SharedGroup billing = billing();
    billing.pause();
    billing.pause();
    publish(1);
    billing.close();

    SharedGroup again = elsewhere();
    assertThat(again.isPaused()).isTrue();
    assertThat(again.receive(NOW)).isEmpty();
    topic.alterSharedGroup("billing", CONFIG.withVisibilityTimeout(Duration.ofSeconds(7)));
    assertThat(again.isPaused()).isTrue();
    again.resume();
    again.resume();
    assertThat(again.receive(PATIENTLY)).hasSize(1);
  }

  @Test
  void a_paused_group_holds_up_no_other_and_the_view_shows_which_is_paused() {
    SharedGroup billing = billing();
    SharedGroup labels = topic.sharedGroup("labels", CONFIG);
    topic.join("ledger", GroupConfig.from(StartFrom.earliest())).close();
    billing.pause();
    publish(3);

    assertThat(labels.receive(NOW)).hasSize(3);
    assertThat(billing.receive(NOW)).isEmpty();
    assertThat(List.of(shown("billing"), shown("labels"), shown("ledger")))
        .containsExactly("true", "false", "false");
  }

  @Test
  void a_paused_consumer_can_be_closed_and_a_paused_group_reset() {
    SharedGroup billing = billing();
    billing.consume(handlers(1), this::note);
    billing.pause();
    publish(2);
    billing.close();
    SharedGroup again = billing();

    again.reset(StartFrom.latest());

    assertThat(again.isPaused()).isTrue();
    again.resume();
    assertThat(again.receive(NOW)).isEmpty();
    topic.publish(Message.text("next"));
    assertThat(texts(again.receive(PATIENTLY))).containsExactly("next");
  }

  @Test
  void a_group_that_is_gone_cannot_be_paused() {
    SharedGroup billing = billing();
    billing.delete();

    assertThatThrownBy(billing::pause).isInstanceOf(GroupNotFoundException.class);
    assertThatThrownBy(billing::resume).isInstanceOf(GroupNotFoundException.class);
    assertThatThrownBy(billing::isPaused).isInstanceOf(GroupNotFoundException.class);
  }

  @Test
  void a_claim_for_a_paused_group_says_so_and_that_nothing_is_to_be_had_in_a_moment() {
    SharedGroup billing = billing();
    publish(2);
    billing.receive(NOW.withMaxRecords(1)).get(0).release();
    SharedClaimStore.Request request =
        new SharedClaimStore.Request(
            (int) database.number("SELECT id FROM trunkline.topic WHERE name = ?", topic.name()),
            (int) database.number("SELECT id FROM trunkline.consumer_group"),
            database.number("SELECT id FROM trunkline.group_member"),
            -1,
            10,
            1_000_000);
    billing.pause();

    Database library = library();
    SharedClaimStore.Claimed refused =
        library.run(session -> SharedClaimStore.claim(session, request, 0)).get(0);
    List<SharedClaimStore.Claimed> due =
        library.run(session -> SharedClaimStore.claimDue(session, request, true, LATER));
    Optional<Long> nextDue =
        library.run(session -> SharedClaimStore.nextDueInMs(session, request.groupId(), true));

    // Else consumers would look every few milliseconds, for as long as it is paused.
    assertThat(refused.leaseId()).isEqualTo(-1);
    assertThat(refused.paused()).isTrue();
    assertThat(refused.busy()).isFalse();
    assertThat(due).isEmpty();
    assertThat(nextDue).isEmpty();
  }
}
