package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * A queue, "orders", of a Trunkline of the test's own, and the hands of the clock: what expires and
 * what becomes due does so when the test says it.
 */
@PostgresTest
abstract class QueueFixture {
  /** Failures come back at once, so that a test need not wait for them. */
  static final RetryPolicy AT_ONCE =
      RetryPolicy.defaults().withDelays(Duration.ZERO, Duration.ZERO);

  static final QueueConfig CONFIG = QueueConfig.defaults().withRetryPolicy(AT_ONCE);

  /** The schema is there, from the template. */
  static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  static final Duration PATIENCE = Duration.ofSeconds(20);

  private final List<Trunkline> opened = new ArrayList<>();
  TestDatabase database;
  Trunkline trunkline;
  Queue queue;

  @BeforeEach
  void declare_the_queue() {
    trunkline = open(OPENED);
    queue = trunkline.queue("orders", CONFIG);
  }

  @AfterEach
  void close_what_was_opened() {
    opened.forEach(Trunkline::close);
  }

  /** Another Trunkline on the same database, as another process would have it. */
  final Trunkline open(TrunklineConfig config) {
    Trunkline another = Trunkline.open(database.dataSource(), config);
    opened.add(another);
    return another;
  }

  /** The queue with another configuration. */
  final Queue altered(QueueConfig config) {
    return trunkline.alterQueue("orders", config);
  }

  final MessageId send(String text) {
    return queue.send(Message.text(text));
  }

  final List<MessageId> sendAll(String... texts) {
    return queue.sendAll(List.of(texts).stream().map(Message::text).toList());
  }

  /** "0", "1" and so on, as many as asked for. */
  final List<MessageId> sendNumbers(int count) {
    return queue.sendAll(
        IntStream.range(0, count).mapToObj(i -> Message.text(String.valueOf(i))).toList());
  }

  /** The only message that is ready. */
  final Delivery receiveOne() {
    List<Delivery> received = queue.receive(10);
    assertThat(received).hasSize(1);
    return received.get(0);
  }

  static List<String> texts(List<Delivery> deliveries) {
    return deliveries.stream().map(delivery -> delivery.message().text()).toList();
  }

  static List<MessageId> ids(List<Delivery> deliveries) {
    return deliveries.stream().map(Delivery::id).toList();
  }

  static ReceiveOptions upTo(int maxMessages) {
    return ReceiveOptions.defaults().withMaxMessages(maxMessages);
  }

  static ReceiveOptions waiting(Duration maxWait) {
    return ReceiveOptions.defaults().withMaxWait(maxWait);
  }

  /** Consumes until the condition holds, and then closes. */
  final void consumeUntil(ConsumerConfig config, Handler handler, Callable<Boolean> condition) {
    Consumer consumer = queue.consume(config, handler);
    try {
      Awaits.until(condition);
    } finally {
      consumer.close();
    }
  }

  static ConsumerConfig handlers(int concurrency) {
    return ConsumerConfig.defaults().withConcurrency(concurrency);
  }

  /** A reaper that looks when it is told to. */
  final LeaseReaper reaper() {
    return new LeaseReaper(library(), nobody(), new DueTime());
  }

  /** A scheduler that looks when it is told to. */
  final Scheduler scheduler() {
    return new Scheduler(library(), nobody(), new DueTime());
  }

  /** A sweep of what has expired that looks when it is told to. */
  final ExpirySweep sweeper() {
    return new ExpirySweep(library(), nobody(), new DueTime());
  }

  /** All that is in flight expires. Answers how many leases. */
  final int expireAll() {
    return reaper().reapExpired(Instant.now().plus(Duration.ofDays(1)));
  }

  /** All that is scheduled becomes ready. Answers how many messages. */
  final long promoteAll() {
    return scheduler().promoteDue(Instant.now().plus(Duration.ofDays(4000)));
  }

  final Database library() {
    return new Database(database.dataSource());
  }

  private Wakeups nobody() {
    return new Wakeups(
        new Signals(System::nanoTime), new Announcer(library(), NotifyMode.OFF), new DueTime());
  }

  final long count(String table) {
    return switch (table) {
      case "ready" ->
          database.number("SELECT coalesce(sum(cardinality(ids)), 0) FROM trunkline.ready");
      case "scheduled" -> database.number("SELECT count(*) FROM trunkline.scheduled");
      case "lease" ->
          database.number("SELECT coalesce(sum(cardinality(ids)), 0) FROM trunkline.lease");
      case "message" -> database.number("SELECT count(*) FROM trunkline.message");
      case "dead_letter" -> database.number("SELECT count(*) FROM trunkline.dead_letter");
      case "heartbeat" -> database.number("SELECT count(*) FROM trunkline.heartbeat");
      case "consumer" -> database.number("SELECT count(*) FROM trunkline.consumer");
      default -> throw new IllegalArgumentException("table: " + table);
    };
  }
}
