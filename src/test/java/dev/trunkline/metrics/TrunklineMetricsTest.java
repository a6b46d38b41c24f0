package dev.trunkline.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.error.QueueFullException;
import dev.trunkline.message.Message;
import dev.trunkline.queue.Bounds;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.ExpiredMessages;
import dev.trunkline.queue.Overflow;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.GroupConsumer;
import dev.trunkline.topic.GroupLag;
import dev.trunkline.topic.PartitionLag;
import dev.trunkline.topic.PollOptions;
import dev.trunkline.topic.SharedGroup;
import dev.trunkline.topic.SharedGroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class TrunklineMetricsTest {
  /** Each meter that is read asks the database anew. */
  private static final MetricsConfig FRESH =
      MetricsConfig.defaults().withMaxAge(Duration.ZERO).withMaxWait(Duration.ofSeconds(20));

  private final MeterRegistry registry = new SimpleMeterRegistry();
  private final List<TrunklineMetrics> made = new ArrayList<>();
  private TestDatabase database;
  private Trunkline trunkline;

  @BeforeEach
  void open() {
    trunkline =
        Trunkline.open(
            database.dataSource(),
            TrunklineConfig.defaults()
                .withMigrationMode(MigrationMode.OFF)
                .withPollInterval(Duration.ofMillis(50)));
  }

  @AfterEach
  void close() {
    made.forEach(TrunklineMetrics::close);
    trunkline.close();
    database.truncateAll();
  }

  @Test
  void the_meters_of_a_queue_say_at_once_what_was_done_to_it() {
    Queue emails =
        trunkline.queue(
            "emails",
            QueueConfig.defaults().withTimeToLive(Duration.ofHours(1), ExpiredMessages.DROP));
    bind(FRESH);
    check("emails", Map.of());
    emails.sendAll(Collections.nCopies(10, Message.text("hello")));
    emails.send(Message.text("later").withDelay(Duration.ofMinutes(10)));
    check("emails", Map.of("ready", 10.0, "scheduled", 1.0, "waiting", 55.0, "sent", 11.0));
    List<Delivery> claimed = emails.receive(4);
    check(
        "emails",
        Map.of("ready", 6.0, "scheduled", 1.0, "in.flight", 4.0, "waiting", 55.0, "sent", 11.0),
        "waiting"); // what was sent together counts until the last of it is claimed
    emails.ackAll(claimed.subList(0, 2));
    claimed.get(2).deadLetter("no");
    claimed.get(3).retry(Duration.ofHours(1));
    check(
        "emails",
        Map.of("ready", 6.0, "scheduled", 2.0, "dead", 1.0, "sent", 11.0, "acked", 2.0),
        "waiting");
    database.execute("UPDATE trunkline.ready SET expires_at = now() - interval '1 second'");
    database.execute("UPDATE trunkline.message SET expires_at = now() - interval '1 second'");
    assertThat(emails.receive(100)).isEmpty();
    assertThat(count("trunkline.queue.expired", "queue", "emails")).isGreaterThanOrEqualTo(6);
    assertThat(value("trunkline.queue.ready", "queue", "emails")).isZero();
  }

  @Test
  void the_age_is_that_of_the_message_at_the_head_of_the_line_in_seconds() {
    Queue emails = trunkline.queue("emails", QueueConfig.defaults());
    Queue accounts = trunkline.queue("accounts", QueueConfig.defaults().withFairByKey());
    bind(FRESH);
    emails.send(Message.text("old").withPriority(2));
    emails.send(Message.text("new").withPriority(9));
    accounts.send(Message.text("old").withKey("a"));
    database.execute(
        "UPDATE trunkline.message SET enqueued_at = now() - interval '1 hour' WHERE priority <> 9");

    assertThat(value("trunkline.queue.oldest.ready", "queue", "emails")).isBetween(3600.0, 3630.0);
    assertThat(value("trunkline.queue.oldest.ready", "queue", "accounts"))
        .isBetween(3600.0, 3630.0);
    emails.receive(10);
    assertThat(value("trunkline.queue.oldest.ready", "queue", "emails")).isZero();
  }

  @Test
  void pressure_is_on_before_the_bound_is_reached_and_off_again_when_there_is_room() {
    Queue calls =
        trunkline.queue(
            "calls",
            QueueConfig.defaults()
                .withBounds(
                    Bounds.messages(10)
                        .withMaxBytes(1_000)
                        .withPressureAt(0.5)
                        .withOverflow(Overflow.REJECT)));
    bind(FRESH);
    assertThat(value("trunkline.queue.pressure", "queue", "calls")).isZero();
    send(calls, 4, "x");
    assertThat(value("trunkline.queue.fullness", "queue", "calls")).isEqualTo(0.4);
    assertThat(value("trunkline.queue.pressure", "queue", "calls")).isZero();
    send(calls, 1, "x".repeat(696)); // by bytes it is fuller
    assertThat(value("trunkline.queue.fullness", "queue", "calls")).isEqualTo(0.7);
    assertThat(value("trunkline.queue.pressure", "queue", "calls")).isOne();
    assertThat(calls.stats().underPressure()).isTrue();
    send(calls, 5, "");
    assertThat(value("trunkline.queue.fullness", "queue", "calls")).isOne();
    assertThatThrownBy(() -> send(calls, 1, "x")).isInstanceOf(QueueFullException.class);
    calls.ackAll(calls.receive(100));
    assertThat(value("trunkline.queue.fullness", "queue", "calls")).isZero();
    assertThat(value("trunkline.queue.pressure", "queue", "calls")).isZero();
  }

  @Test
  void only_a_queue_that_is_bounded_has_pressure() {
    trunkline.queue("calls", QueueConfig.defaults());
    bind(FRESH);
    assertThat(named("trunkline.queue.pressure")).isEmpty();
    trunkline.alterQueue("calls", QueueConfig.defaults().withMaxMessages(10));
    read();
    assertThat(named("trunkline.queue.pressure")).hasSize(1);
    assertThat(named("trunkline.queue.fullness")).hasSize(1);
    trunkline.alterQueue("calls", QueueConfig.defaults());
    read();
    assertThat(named("trunkline.queue.pressure")).isEmpty();
    assertThat(named("trunkline.queue.fullness")).isEmpty();
    assertThat(named("trunkline.queue.ready")).hasSize(1);
  }

  @Test
  void the_lag_of_a_group_is_told_for_each_partition_in_records_and_in_seconds() {
    Topic orders = trunkline.topic("orders", TopicConfig.defaults().withPartitions(2));
    bind(FRESH);
    try (GroupConsumer billing = orders.join("billing", GroupConfig.from(StartFrom.earliest()))) {
      read();
      assertThat(named("trunkline.group.lag")).hasSize(2);
      assertThat(lags("billing")).isZero();
      assertThat(value("trunkline.group.lag.time", "group", "billing", "partition", "0")).isZero();
      orders.publishAll(keyed(50));
      long inFirst = orders.endOffsets().get(0);
      database.execute("UPDATE trunkline.segment SET appended_at = now() - interval '1 hour'");

      assertThat(value("trunkline.group.lag", "group", "billing", "partition", "0"))
          .isEqualTo(inFirst)
          .isPositive();
      assertThat(value("trunkline.group.lag", "group", "billing", "partition", "1"))
          .isEqualTo(50 - inFirst)
          .isPositive();
      assertThat(value("trunkline.group.lag.time", "group", "billing", "partition", "0"))
          .isBetween(3600.0, 3630.0);
      Awaits.until(
          () -> {
            billing.poll(Duration.ofMillis(50));
            billing.commit();
            return lags("billing") == 0;
          });
      assertThat(value("trunkline.group.lag.time", "group", "billing", "partition", "0")).isZero();
    }
  }

  @Test
  void the_lag_of_a_group_that_nobody_runs_grows_by_itself() {
    Topic orders = trunkline.topic("orders", TopicConfig.defaults().withPartitions(2));
    orders.join("billing", GroupConfig.from(StartFrom.earliest())).close();
    bind(FRESH);
    orders.publishAll(keyed(50));
    Awaits.until(() -> lags("billing") == 50);
  }

  @Test
  void the_lag_of_a_shared_group_counts_what_it_has_in_hand() {
    Topic orders = trunkline.topic("orders", TopicConfig.defaults().withPartitions(1));
    SharedGroup labels = orders.sharedGroup("labels", SharedGroupConfig.from(StartFrom.earliest()));
    orders.publishAll(keyed(10));
    bind(FRESH);
    labels.receive(PollOptions.defaults().withMaxRecords(4)).get(0).ack();
    assertThat(value("trunkline.group.lag", "topic", "orders", "group", "labels")).isEqualTo(9);
    assertThat(value("trunkline.group.lag.time", "topic", "orders", "group", "labels"))
        .isPositive();
  }

  @Test
  void the_lags_of_all_groups_are_what_each_group_says_by_itself() {
    for (String name : List.of("orders", "returns")) {
      Topic topic = trunkline.topic(name, TopicConfig.defaults().withPartitions(3));
      topic.publishAll(keyed(20));
      SharedGroup labels =
          topic.sharedGroup("labels", SharedGroupConfig.from(StartFrom.earliest()));
      labels.receive(PollOptions.defaults().withMaxRecords(5)).get(0).retry(Duration.ofHours(1));
      topic.join("latest", GroupConfig.from(StartFrom.latest())).close();
      topic.join("earliest", GroupConfig.from(StartFrom.earliest())).close();
      topic.publishAll(keyed(30));
      topic.endOffsets();
    }
    database.execute("UPDATE trunkline.segment SET appended_at = now() - interval '1 hour'");
    List<GroupLag> all = trunkline.groupLags();
    assertThat(all).hasSize(6);
    for (GroupLag one : all) {
      List<PartitionLag> alone = trunkline.topic(one.topic()).group(one.group()).lag();
      assertThat(withoutTime(one.partitions())).isEqualTo(withoutTime(alone));
      for (int i = 0; i < 3; i++) {
        assertThat(alone.get(i).time().minus(one.partitions().get(i).time()))
            .isBetween(Duration.ofSeconds(-1), Duration.ofSeconds(10));
      }
    }
  }

  private static List<PartitionLag> withoutTime(List<PartitionLag> lags) {
    return lags.stream()
        .map(
            l ->
                new PartitionLag(l.partition(), l.committed(), l.end(), l.records(), Duration.ZERO))
        .toList();
  }

  @Test
  void what_appears_has_meters_with_the_next_reading_and_what_is_deleted_loses_them() {
    bind(FRESH);
    assertThat(names()).containsExactly("trunkline.up");
    Queue emails = trunkline.queue("emails", QueueConfig.defaults());
    trunkline.queue("calls", QueueConfig.defaults());
    Topic orders = trunkline.topic("orders", TopicConfig.defaults().withPartitions(3));
    orders.join("billing", GroupConfig.from(StartFrom.earliest())).close();
    orders.join("mails", GroupConfig.from(StartFrom.earliest())).close();
    read();
    assertThat(named("trunkline.queue.ready")).hasSize(2);
    assertThat(named("trunkline.group.lag")).hasSize(6);
    Gauge ready = registry.get("trunkline.queue.ready").tag("queue", "emails").gauge();
    emails.delete();
    orders.group("billing").delete();
    read();
    assertThat(named("trunkline.queue.ready")).containsExactly("{queue=calls}");
    assertThat(named("trunkline.group.lag"))
        .containsExactly(
            "{group=mails, partition=0, topic=orders}",
            "{group=mails, partition=1, topic=orders}",
            "{group=mails, partition=2, topic=orders}");
    assertThat(ready.value()).isNaN();
    orders.delete();
    trunkline.queue("calls").delete();
    read();
    assertThat(names()).containsExactly("trunkline.up");
  }

  @Test
  void closing_removes_the_meters_from_every_registry_and_leaves_those_of_others() {
    trunkline.queue("emails", QueueConfig.defaults());
    MeterRegistry second = new SimpleMeterRegistry();
    registry.gauge("somebody.elses", 1);
    TrunklineMetrics metrics = bind(FRESH);
    metrics.bindTo(second);
    Gauge up = registry.get("trunkline.up").gauge();
    assertThat(second.getMeters()).hasSizeGreaterThan(5);
    metrics.close();
    metrics.close();
    assertThat(names()).containsExactly("somebody.elses");
    assertThat(second.getMeters()).isEmpty();
    assertThat(up.value()).isZero();
    assertThatIllegalStateException().isThrownBy(() -> metrics.bindTo(second));
  }

  @Test
  void the_meters_outlive_whoever_bound_them() {
    trunkline.queue("emails", QueueConfig.defaults()).send(Message.text("hello"));
    new TrunklineMetrics(trunkline, FRESH).bindTo(registry);
    System.gc();
    assertThat(value("trunkline.queue.ready", "queue", "emails")).isOne();
    assertThat(value("trunkline.queue.oldest.ready", "queue", "emails")).isNotNaN();
    trunkline.queue("emails").send(Message.text("hello"));
    assertThat(count("trunkline.queue.sent", "queue", "emails")).isEqualTo(2);
  }

  @Test
  void tags_of_the_users_are_on_every_meter() {
    trunkline.queue("emails", QueueConfig.defaults().withMaxMessages(10));
    trunkline
        .topic("orders", TopicConfig.defaults())
        .join("billing", GroupConfig.from(StartFrom.earliest()))
        .close();
    bind(FRESH.withTags(Tags.of("service", "shop")));
    assertThat(registry.getMeters())
        .hasSizeGreaterThan(12)
        .allMatch(meter -> "shop".equals(meter.getId().getTag("service")))
        .allMatch(meter -> meter.getId().getDescription() != null);
  }

  @Test
  void many_threads_may_read_while_queues_come_and_go() throws Exception {
    bind(FRESH.withMaxAge(Duration.ofMillis(1)));
    AtomicBoolean over = new AtomicBoolean();
    List<Throwable> failures = new CopyOnWriteArrayList<>();
    CountDownLatch reading = new CountDownLatch(4);
    List<Thread> readers = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Thread reader =
          new Thread(
              () -> {
                try {
                  while (!over.get()) {
                    registry
                        .getMeters()
                        .forEach(meter -> meter.measure().forEach(one -> one.getValue()));
                    reading.countDown();
                  }
                } catch (RuntimeException | Error e) {
                  failures.add(e);
                }
              });
      reader.start();
      readers.add(reader);
    }
    reading.await();
    for (int i = 0; i < 20; i++) {
      Queue coming = trunkline.queue("queue-" + i, QueueConfig.defaults());
      int mine = i;
      Awaits.until(() -> named("trunkline.queue.ready").contains("{queue=queue-" + mine + "}"));
      coming.delete();
    }
    Awaits.until(() -> names().equals(Set.of("trunkline.up")));
    over.set(true);
    for (Thread reader : readers) {
      reader.join();
    }
    assertThat(failures).isEmpty();
  }

  @Test
  void values_out_of_range_are_refused_by_name() {
    MetricsConfig config = MetricsConfig.defaults();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> config.withMaxAge(Duration.ofMillis(-1)))
        .withMessage("maxAge must be between zero and 1 h: PT-0.001S");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> config.withMaxAge(Duration.ofHours(2)))
        .withMessageContaining("maxAge");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> config.withMaxWait(Duration.ZERO))
        .withMessage("maxWait must be between 1 ms and 1 min: PT0S");
  }

  private TrunklineMetrics bind(MetricsConfig config) {
    TrunklineMetrics metrics = new TrunklineMetrics(trunkline, config);
    made.add(metrics);
    metrics.bindTo(registry);
    return metrics;
  }

  /** What a registry does that is scraped while nothing else is in it. */
  private void read() {
    assertThat(value("trunkline.up")).isOne();
  }

  private double value(String name, String... tags) {
    return registry.get(name).tags(tags).gauge().value();
  }

  private double count(String name, String... tags) {
    return registry.get(name).tags(tags).functionCounter().count();
  }

  private double lags(String group) {
    return registry.get("trunkline.group.lag").tag("group", group).gauges().stream()
        .mapToDouble(Gauge::value)
        .sum();
  }

  /** All that is not named is zero. */
  private void check(String queue, Map<String, Double> expected, String... unchecked) {
    Map<String, Double> all = new TreeMap<>();
    for (String what : List.of("ready", "scheduled", "in.flight", "dead", "waiting")) {
      all.put(what, value("trunkline.queue." + what, "queue", queue));
    }
    for (String what : List.of("sent", "acked", "expired")) {
      all.put(what, count("trunkline.queue." + what, "queue", queue));
    }
    all.values().removeIf(value -> value == 0);
    Map<String, Double> wanted = new TreeMap<>(expected);
    for (String what : unchecked) {
      all.remove(what);
      wanted.remove(what);
    }
    assertThat(all).isEqualTo(wanted);
  }

  private Set<String> names() {
    Set<String> names = new TreeSet<>();
    registry.getMeters().forEach(meter -> names.add(meter.getId().getName()));
    return names;
  }

  /** The tags of the meters of this name. */
  private Set<String> named(String name) {
    Set<String> tags = new TreeSet<>();
    for (Meter meter : registry.getMeters()) {
      if (meter.getId().getName().equals(name)) {
        Map<String, String> sorted = new TreeMap<>();
        meter.getId().getTags().forEach(tag -> sorted.put(tag.getKey(), tag.getValue()));
        tags.add(sorted.toString());
      }
    }
    return tags;
  }

  private static void send(Queue queue, int count, String text) {
    queue.sendAll(Collections.nCopies(count, Message.text(text)));
  }

  private static List<Message> keyed(int count) {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      messages.add(Message.text("m").withKey("key-" + i));
    }
    return messages;
  }
}
