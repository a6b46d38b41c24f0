package dev.trunkline.demo;

import dev.trunkline.Trunkline;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.retry.FailurePolicy;
import dev.trunkline.retry.RetryPolicy;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.MemberConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import javax.sql.DataSource;

/** The topic of orders, and the five services at work on it, each as a group. Thread-safe. */
final class Services {
  /** Prefixed, since the server may be one with topics of its own. */
  static final String TOPIC = "demo.orders";

  /**
   * Many, for the sake of the mails: a partition handles one event at a time, and one mail takes
   * seconds.
   */
  static final int PARTITIONS = 96;

  /** The email service runs as so many members of its group, the others as one. */
  static final int EMAIL_INSTANCES = 3;

  private static final Duration OVER_THE_WORK_TIME = Duration.ofSeconds(2);

  private final Trunkline trunkline;
  private final Topic topic;
  private final ScheduledThreadPoolExecutor clock;
  private volatile boolean stopped;

  private Services(Trunkline trunkline, Topic topic, ScheduledThreadPoolExecutor clock) {
    this.trunkline = trunkline;
    this.topic = topic;
    this.clock = clock;
  }

  /**
   * Opens Trunkline on the pool and declares the topic. Nothing is consumed yet.
   *
   * @throws CannotStartException if the database is not as Trunkline needs it
   */
  static Services open(DataSource dataSource) {
    Trunkline trunkline;
    try {
      trunkline = Trunkline.open(dataSource);
    } catch (TrunklineException e) {
      throw new CannotStartException(OneLine.of(e), e);
    }
    try {
      Topic topic = trunkline.topic(TOPIC, TopicConfig.defaults().withPartitions(PARTITIONS));
      return new Services(trunkline, topic, clock());
    } catch (TrunklineException e) {
      trunkline.close();
      throw new CannotStartException(OneLine.of(e), e);
    }
  }

  /**
   * Begins to consume, in the name of this run.
   *
   * @throws CannotStartException if a group is there and is another one
   */
  void start(DataSource dataSource, DemoOptions.Mail mail, int run) {
    try {
      for (Service service : Service.values()) {
        Duration workTime = service == Service.EMAIL ? mail.time() : service.workTime();
        start(new ServiceHandler(service, workTime, dataSource, clock, run), mail.concurrency());
      }
    } catch (TrunklineException e) {
      throw new CannotStartException(OneLine.of(e), e);
    }
  }

  private void start(ServiceHandler handler, int mailsAtATime) {
    Service service = handler.service();
    MemberConfig member =
        MemberConfig.defaults()
            .withConcurrency(service.concurrency())
            .withShutdownTimeout(handler.workTime().plus(OVER_THE_WORK_TIME));
    GroupConfig group = GroupConfig.from(StartFrom.earliest()).withMember(member);
    String name = service.label();
    switch (service) {
      case PAYMENT ->
          topic.subscribeTransactionally(
              name,
              // What it rejects is dead at once, and anything else is tried until it works.
              group
                  .withFailurePolicy(FailurePolicy.PARK)
                  .withRetryPolicy(RetryPolicy.defaults().withMaxDeliveries(RetryPolicy.UNLIMITED))
                  .withMember(member.withNonRetryable(Set.of(RejectedException.class))),
              handler::handleIn);
      case WAREHOUSE ->
          topic.subscribe(name, group.withFailurePolicy(FailurePolicy.SKIP), handler::handle);
      case EMAIL -> {
        for (int share : DemoOptions.Mail.shares(mailsAtATime, EMAIL_INSTANCES)) {
          topic.subscribe(name, group.withConcurrency(share), handler::handle);
        }
      }
      case INVENTORY, ANALYTICS -> topic.subscribe(name, group, handler::handle);
    }
  }

  Topic topic() {
    return topic;
  }

  /** What was committed so far is in the log, and counts when the groups are looked at. */
  void sequence() {
    if (!stopped) {
      topic.endOffsets();
    }
  }

  /** Running handlers finish, and their offsets are committed. Idempotent. */
  void stop() {
    stopped = true;
    trunkline.close();
    clock.shutdownNow();
  }

  private static ScheduledThreadPoolExecutor clock() {
    return new ScheduledThreadPoolExecutor(
        1,
        task -> {
          Thread thread = new Thread(task, "demo-clock");
          thread.setDaemon(true);
          return thread;
        });
  }
}
