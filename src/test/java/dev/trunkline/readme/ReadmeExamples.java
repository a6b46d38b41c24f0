package dev.trunkline.readme;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.deadletter.DeadLetter;
import dev.trunkline.error.QueueFullException;
import dev.trunkline.inbox.Inbox;
import dev.trunkline.message.Codec;
import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import dev.trunkline.message.Outcome;
import dev.trunkline.metrics.MetricsConfig;
import dev.trunkline.metrics.TrunklineMetrics;
import dev.trunkline.queue.Bounds;
import dev.trunkline.queue.Cancellation;
import dev.trunkline.queue.Consumer;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Delivery;
import dev.trunkline.queue.ExpiredMessages;
import dev.trunkline.queue.MessageState;
import dev.trunkline.queue.NotifyMode;
import dev.trunkline.queue.Overflow;
import dev.trunkline.queue.ParkedKey;
import dev.trunkline.queue.PeekedMessage;
import dev.trunkline.queue.Producer;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.queue.ReceiveOptions;
import dev.trunkline.queue.ReceivedMessage;
import dev.trunkline.queue.Rescheduling;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.topic.Group;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.GroupConsumer;
import dev.trunkline.topic.SharedConsumer;
import dev.trunkline.topic.SharedConsumerConfig;
import dev.trunkline.topic.SharedGroup;
import dev.trunkline.topic.SharedGroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Subscription;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import dev.trunkline.topic.TopicRecord;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import javax.sql.DataSource;
import org.jdbi.v3.core.Jdbi;

/**
 * The Java of the README: each tagged region is one of its fences, word for word. {@link
 * ReadmeExamplesTest} runs them.
 */
final class ReadmeExamples {
  private final DataSource dataSource;
  private final Mailer mailer;

  ReadmeExamples(DataSource dataSource, Mailer mailer) {
    this.dataSource = dataSource;
    this.mailer = mailer;
  }

  /** What the shop sends. */
  record Order(String id, String email, long cents) {}

  /** What the shop calls; the tests look at what it was asked to do. */
  @FunctionalInterface
  interface Mailer {
    void confirm(String email, String orderId) throws IOException;
  }

  void start(Order order, CountDownLatch mailed) throws SQLException, InterruptedException {
    // tag::start[]
    try (Trunkline trunkline = Trunkline.open(dataSource)) {
      Queue emails = trunkline.queue("emails", QueueConfig.defaults());

      emails.consume(
          delivery -> {
            Order placed = delivery.message().json(Order.class);
            mailer.confirm(placed.email(), placed.id());
            return Outcome.ack();
          });

      try (Connection connection = dataSource.getConnection()) {
        connection.setAutoCommit(false);
        insertOrder(connection, order); // your own SQL
        emails.send(connection, Message.json(order)); // in the same transaction
        connection.commit(); // both, or neither
      }

      mailed.await(); // a real service waits for its own end here
    }
    // end::start[]
  }

  Consumer control(Trunkline trunkline) throws IOException {
    // tag::flow[]
    QueueConfig bounded =
        QueueConfig.defaults()
            .withBounds(
                Bounds.messages(100_000) // that wait: ready or scheduled
                    .withMaxBytes(512L * 1024 * 1024)
                    .withOverflow(Overflow.BLOCK) // or REJECT, or DROP_OLDEST: to the dead letters
                    .withMaxWait(Duration.ofSeconds(10)))
            .withRateLimit(50, Duration.ofSeconds(1)) // deliveries, over all consumers
            .withMaxInFlight(200) // claimed and not settled, over all consumers
            .withPriorityAgeing(Duration.ofMinutes(5)); // one priority higher for each 5 min

    Queue calls = trunkline.queue("calls", bounded);
    try {
      calls.send(Message.text("ring")); // waits for room, up to 10 s
    } catch (QueueFullException full) {
      mailer.confirm("operator", full.queue());
    }

    Queue imports = trunkline.queue("imports", QueueConfig.defaults().withSingleActiveConsumer());
    Consumer standby =
        imports.consume( // one of all these consumers works; another takes over when it is gone
            ConsumerConfig.defaults().withTakeoverPriority(1), delivery -> Outcome.ack());
    standby.pause(); // this consumer only; calls.pause() stops the queue
    standby.resume();
    // end::flow[]
    return standby;
  }

  TrunklineMetrics measure(Trunkline trunkline, MeterRegistry registry) {
    // tag::metrics[]
    MetricsConfig config = MetricsConfig.defaults().withTags(Tags.of("service", "shop"));
    TrunklineMetrics metrics = new TrunklineMetrics(trunkline, config);
    metrics.bindTo(registry); // close() removes the meters again
    // end::metrics[]
    return metrics;
  }

  void open(String url, String user, String password) {
    // tag::open[]
    // With the pool that the service has. It stays open when the Trunkline is closed.
    try (Trunkline trunkline = Trunkline.open(dataSource)) {
      trunkline.queueNames();
    }

    // With a pool of its own, of ten connections.
    try (Trunkline trunkline = Trunkline.open(url, user, password)) {
      trunkline.queueNames();
    }

    // Everything that can be set. Here the schema is only checked, and a pooler is in the way.
    TrunklineConfig config =
        TrunklineConfig.defaults()
            .withMigrationMode(MigrationMode.VERIFY)
            .withNotifyMode(NotifyMode.OFF)
            .withPollInterval(Duration.ofMillis(500))
            .withHeartbeatTimeout(Duration.ofSeconds(10));
    try (Trunkline trunkline = Trunkline.open(dataSource, config)) {
      trunkline.queueNames();
    }
    // end::open[]
  }

  Queue declare(Trunkline trunkline) {
    // tag::declare[]
    QueueConfig config =
        QueueConfig.defaults()
            .withVisibilityTimeout(Duration.ofMinutes(2))
            .withRetryPolicy(
                RetryPolicy.defaults()
                    .withMaxDeliveries(8)
                    .withDelays(Duration.ofSeconds(2), Duration.ofMinutes(10)));

    Queue emails = trunkline.queue("emails", config); // makes it, or finds it as it is
    trunkline.alterQueue("emails", config.withMaxDeliveries(10)); // changes it, for all processes
    // end::declare[]
    return emails;
  }

  List<MessageId> send(Queue emails, List<Order> orders) {
    // tag::send[]
    MessageId id = emails.send(Message.text("hello")); // on disk when this returns

    List<Message> messages = orders.stream().map(Message::json).toList();
    List<MessageId> ids = emails.sendAll(messages); // any number, all or none
    // end::send[]
    List<MessageId> all = new ArrayList<>(ids);
    all.add(0, id);
    return all;
  }

  Message message(Order order, Instant monday) {
    // tag::message[]
    Message message =
        Message.json(order) // or Message.text(...), Message.bytes(...), Message.of(value, codec)
            .withKey(order.id()) // what it is about
            .withType("order.placed") // a stable name for consumers
            .withHeader("trace", "4bf92f35") // strings, as many as you like
            .withPriority(5) // 0 (default) to 9; higher goes first
            .withDelay(Duration.ofMinutes(15)); // not before that, by the database's clock

    Message newsletter = Message.text("news").withDeliverAt(monday);
    // end::message[]
    return newsletter.deliverAt().isPresent() ? message : newsletter;
  }

  Cancellation sendOnce(Trunkline trunkline, Order order) {
    // tag::rules[]
    QueueConfig config =
        QueueConfig.defaults()
            .withDeduplication() // by an id, for 5 minutes after the first send
            .withTimeToLive(Duration.ofHours(6), ExpiredMessages.DEAD_LETTER); // or DROP
    Queue payments = trunkline.queue("payments", config);

    Message payment =
        Message.json(order)
            .withDeduplicationId(order.id()) // sent again: succeeds, and answers the first id
            .withTimeToLive(Duration.ofMinutes(30)); // the shorter one counts
    MessageId id = payments.send(payment);
    MessageId same = payments.send(payment);

    Rescheduling later = payments.reschedule(id, Duration.ofMinutes(10)); // or an Instant
    Cancellation answer = payments.cancel(id); // CANCELLED, or TOO_LATE: it was delivered
    // end::rules[]
    return id.equals(same) && later == Rescheduling.RESCHEDULED ? answer : Cancellation.TOO_LATE;
  }

  void sendInOrder(Queue payments, List<Order> orders) {
    // tag::producer[]
    Producer importer = payments.producer("nightly-import"); // fences an older one of that name
    long next = importer.lastSequence().orElse(-1) + 1; // where a crash has left it
    for (long line = next; line < orders.size(); line++) {
      importer.send(line, Message.json(orders.get((int) line))); // each line once, for ever
    }
    // end::producer[]
  }

  void sendWithJdbi(Jdbi jdbi, Queue emails, Order order) {
    // tag::send-jdbi[]
    jdbi.useTransaction(
        handle -> {
          handle.execute(
              "INSERT INTO orders (id, email, cents) VALUES (?, ?, ?)",
              order.id(),
              order.email(),
              order.cents());
          emails.send(handle, Message.json(order));
        });
    // end::send-jdbi[]
  }

  // tag::codec[]
  static final class CsvCodec implements Codec {
    @Override
    public String contentType() {
      return "text/csv";
    }

    @Override
    public byte[] encode(Object value) {
      Order order = (Order) value;
      return "%s,%s,%d".formatted(order.id(), order.email(), order.cents()).getBytes(UTF_8);
    }

    @Override
    public <T> T decode(byte[] payload, Class<T> type) {
      String[] parts = new String(payload, UTF_8).split(",");
      return type.cast(new Order(parts[0], parts[1], Long.parseLong(parts[2])));
    }
  }

  // end::codec[]

  Consumer consume(Queue emails) {
    // tag::consume[]
    ConsumerConfig config =
        ConsumerConfig.defaults()
            .withConcurrency(20) // handlers at the same time, in this process
            .withVirtualThreads(true) // on Java 21 and later; else platform threads
            .withVisibilityTimeout(Duration.ofMinutes(1)) // instead of the queue's
            .withNonRetryable(Set.of(NoSuchFileException.class));

    Consumer consumer =
        emails.consume(
            config,
            delivery -> {
              Order order = delivery.message().json(Order.class); // unreadable: a dead letter
              if (order.email().isBlank()) {
                return Outcome.deadLetter("no address"); // hopeless: a dead letter, now
              }
              if (isHoliday()) {
                return Outcome.release(Duration.ofHours(8)); // not now; counts as no attempt
              }
              if (isMailServerBusy()) {
                return Outcome.retry(Duration.ofSeconds(30)); // failed; tried again after 30 s
              }
              mailer.confirm(order.email(), order.id()); // an exception means: retry by policy
              return Outcome.ack(); // done: the message is deleted
            });
    // end::consume[]
    return consumer;
  }

  int receive(Queue emails) throws IOException {
    // tag::receive[]
    ReceiveOptions options =
        ReceiveOptions.defaults()
            .withMaxMessages(100)
            .withMaxWait(
                Duration.ofSeconds(20)) // a long poll: returns as soon as there is something
            .withVisibilityTimeout(Duration.ofMinutes(5));

    List<Delivery> deliveries = emails.receive(options);
    for (Delivery delivery : deliveries) {
      Order order = delivery.message().json(Order.class);
      mailer.confirm(order.email(), order.id());
    }
    emails.ackAll(deliveries); // one statement
    // end::receive[]
    return deliveries.size();
  }

  void settleOneByOne(Queue emails) {
    // tag::settle[]
    for (Delivery delivery : emails.receive(10)) {
      switch (delivery.message().type().orElse("")) {
        case "order.placed" -> delivery.ack();
        case "order.report" -> delivery.extend(Duration.ofMinutes(30)); // keep it for longer
        case "order.draft" -> delivery.release(); // give it back, uncounted
        case "order.change" -> delivery.retry(Duration.ofSeconds(5)); // give it back, counted
        default -> delivery.deadLetter("unknown type");
      }
    }
    // end::settle[]
  }

  Consumer consumeTransactionally(Queue orders, Queue emails) {
    // tag::transactional[]
    Consumer consumer =
        orders.consumeTransactionally(
            (delivery, connection) -> {
              Order order = delivery.message().json(Order.class);
              insertOrder(connection, order); // your own SQL
              emails.send(connection, Message.json(order)); // what follows from it
              return Outcome.ack(); // all of it commits with the ack, or none of it
            });
    // end::transactional[]
    return consumer;
  }

  void ackInTransaction(Queue orders) throws SQLException {
    // tag::ack-in-transaction[]
    for (Delivery delivery : orders.receive(10)) {
      try (Connection connection = dataSource.getConnection()) {
        connection.setAutoCommit(false);
        delivery.ack(connection); // LeaseLostException: somebody else has it
        insertOrder(connection, delivery.message().json(Order.class));
        connection.commit(); // both, or neither
      }
    }
    // end::ack-in-transaction[]
  }

  Consumer consumeAtMostOnce(Queue metrics) throws IOException {
    // tag::at-most-once[]
    Consumer consumer =
        metrics.consumeAtMostOnce(
            received -> mailer.confirm(received.message().text(), "metric")); // nothing to settle

    for (ReceivedMessage received : metrics.receiveAndDelete(100)) { // or pulled
      mailer.confirm(received.message().text(), "metric");
    }
    // end::at-most-once[]
    return consumer;
  }

  Queue orderByKey(Trunkline trunkline) {
    // tag::order-by-key[]
    Queue accounts =
        trunkline.queue("accounts", QueueConfig.defaults().withFifoByKey(FailurePolicy.PARK));
    accounts.send(Message.text("deposit 10").withKey("account-7"));
    accounts.send(Message.text("withdraw 10").withKey("account-7")); // after the first is settled

    // With PARK, a message that was given up keeps its key waiting until somebody decides:
    for (ParkedKey parked : accounts.parkedKeys(100)) {
      accounts.releaseKey(parked.key()); // replay the dead letter before, and it comes first
    }
    // end::order-by-key[]
    return accounts;
  }

  Consumer consumeWithInbox(Trunkline trunkline, Queue orders) {
    // tag::inbox[]
    Inbox billing = trunkline.inbox("billing"); // remembers for 7 days

    Consumer consumer =
        orders.consume(
            delivery -> {
              try (Connection connection = dataSource.getConnection()) {
                connection.setAutoCommit(false);
                if (billing.firstTime(connection, delivery.id())) {
                  insertOrder(connection, delivery.message().json(Order.class));
                }
                connection.commit(); // the work, and that it was done
              }
              return Outcome.ack();
            });
    // end::inbox[]
    return consumer;
  }

  void deadLetters(Queue emails) {
    // tag::dead-letters[]
    for (DeadLetter letter : emails.deadLetters().browse(100)) {
      String why = letter.detail().or(() -> letter.error().map(e -> e.message())).orElse("");
      System.out.println(letter.messageId() + " " + letter.reason() + " " + why);
    }

    long oldest = emails.deadLetters().browse(1).get(0).id();
    emails.deadLetters().replay(List.of(oldest)); // this one
    emails.deadLetters().replayAll(); // all that is dead now
    emails.deadLetters().purge(); // gone for good
    // end::dead-letters[]
  }

  QueueStats operate(Trunkline trunkline, Queue emails) {
    // tag::operate[]
    emails.pause(); // nothing more is claimed, in any process
    QueueStats stats = emails.stats(); // ready, inFlight, scheduled, dead, sent, acked, expired ...
    List<PeekedMessage> next = emails.peek(10); // looks, touches nothing
    List<PeekedMessage> later = emails.peek(MessageState.SCHEDULED, 10);
    emails.resume();

    long removed = emails.purge(); // ready, scheduled and in flight; dead letters stay
    trunkline.queue("emails").delete();
    // end::operate[]
    return removed == next.size() + later.size() ? stats : emails.stats();
  }

  Topic publish(Trunkline trunkline, Order order) throws SQLException {
    // tag::topic-publish[]
    Topic orders = trunkline.topic("orders", TopicConfig.defaults().withPartitions(8));

    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(false);
      insertOrder(connection, order); // your own SQL
      orders.publish(connection, Message.json(order).withKey(order.id())); // ONE event, for all
      connection.commit();
    }
    // end::topic-publish[]
    return orders;
  }

  List<Subscription> subscribe(Topic orders) {
    // tag::topic-subscribe[]
    Subscription mails =
        orders.subscribe(
            "mails", // the group: its members share the partitions
            GroupConfig.from(StartFrom.earliest()).withFailurePolicy(FailurePolicy.PARK),
            record -> {
              Order order = record.message().json(Order.class);
              mailer.confirm(order.email(), order.id()); // an exception means: try again
            });

    Subscription ledger =
        orders.subscribeTransactionally( // another group: it gets each record, too
            "ledger",
            GroupConfig.from(StartFrom.ago(Duration.ofHours(1))),
            (record, connection) -> insertOrder(connection, record.message().json(Order.class)));
    // end::topic-subscribe[]
    return List.of(mails, ledger);
  }

  int pollTopic(Topic orders) throws IOException {
    int handled = 0;
    // tag::topic-poll[]
    GroupConfig config =
        GroupConfig.from(StartFrom.earliest()).withSessionTimeout(Duration.ofSeconds(10));
    try (GroupConsumer member = orders.join("reports", config)) {
      List<TopicRecord> records = member.poll(Duration.ofSeconds(5));
      for (TopicRecord record : records) {
        mailer.confirm("report", record.partition() + "/" + record.offset());
      }
      member.commit(); // all that was polled
      handled = records.size();
    }
    // end::topic-poll[]
    return handled;
  }

  SharedGroup consumeShared(Topic orders) {
    // tag::topic-shared[]
    SharedGroup labels =
        orders.sharedGroup(
            "labels",
            SharedGroupConfig.from(StartFrom.earliest())
                .withVisibilityTimeout(Duration.ofSeconds(30)));

    labels.consume(
        SharedConsumerConfig.defaults()
            .withConcurrency(20), // in each process, for one partition, too
        delivery -> {
          Order order = delivery.message().json(Order.class);
          if (order.email().isBlank()) {
            return Outcome.deadLetter("no address");
          }
          mailer.confirm(order.email(), order.id()); // an exception means: try again, later
          return Outcome.ack(); // this record, whatever becomes of those before it
        });
    // end::topic-shared[]
    return labels;
  }

  SharedConsumer consumeSharedTransactionally(Topic orders) {
    // tag::topic-shared-transaction[]
    SharedConsumer invoicing =
        orders
            .sharedGroup("invoices", SharedGroupConfig.from(StartFrom.earliest()))
            .consumeTransactionally(
                (delivery, connection) -> {
                  insertOrder(connection, delivery.message().json(Order.class)); // your own SQL
                  return Outcome.ack(); // both commit, or neither
                });
    // end::topic-shared-transaction[]
    return invoicing;
  }

  long operateTopic(Topic orders) {
    // tag::topic-operate[]
    Group mails = orders.group("mails");
    long behind = mails.lagInRecords(); // or lag(), per partition, in records and in time
    mails.deadLetters().browse(100); // what failed for good, and why
    mails.deadLetters().parkedKeys().forEach(mails.deadLetters()::release); // again, in order
    mails.reset(StartFrom.timestamp(Instant.parse("2026-01-01T00:00:00Z"))); // nobody runs

    List<TopicRecord> first = orders.read(0, orders.beginningOffsets().get(0), 10); // no group
    // end::topic-operate[]
    return behind + first.size();
  }

  private static boolean isHoliday() {
    return false;
  }

  private static boolean isMailServerBusy() {
    return false;
  }

  private static void insertOrder(Connection connection, Order order) throws SQLException {
    try (PreparedStatement insert =
        connection.prepareStatement("INSERT INTO orders (id, email, cents) VALUES (?, ?, ?)")) {
      insert.setString(1, order.id());
      insert.setString(2, order.email());
      insert.setLong(3, order.cents());
      insert.executeUpdate();
    }
  }
}
