package dev.trunkline.demo;

import dev.trunkline.Trunkline;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.queue.ConsumerConfig;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import javax.sql.DataSource;

/** The five services at work, each with a queue and a consumer. Thread-safe. */
final class Services {
  private static final Duration OVER_THE_WORK_TIME = Duration.ofSeconds(2);

  private final Trunkline trunkline;
  private final Map<Service, Queue> queues;
  private final ScheduledThreadPoolExecutor clock;

  private Services(
      Trunkline trunkline, Map<Service, Queue> queues, ScheduledThreadPoolExecutor clock) {
    this.trunkline = trunkline;
    this.queues = Map.copyOf(queues);
    this.clock = clock;
  }

  /**
   * Opens Trunkline on the pool and declares the queues. Nothing is consumed yet.
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
      Map<Service, Queue> queues = new EnumMap<>(Service.class);
      for (Service service : Service.values()) {
        queues.put(service, trunkline.queue(service.queue(), QueueConfig.defaults()));
      }
      return new Services(trunkline, queues, clock());
    } catch (TrunklineException e) {
      trunkline.close();
      throw new CannotStartException(OneLine.of(e), e);
    }
  }

  /** Begins to consume, in the name of this run. */
  void start(DataSource dataSource, DemoOptions.Mail mail, int run) {
    queues.forEach(
        (service, queue) -> {
          boolean isMail = service == Service.EMAIL;
          Duration workTime = isMail ? mail.time() : service.workTime();
          queue.consume(
              ConsumerConfig.defaults()
                  .withConcurrency(isMail ? mail.concurrency() : service.concurrency())
                  .withShutdownTimeout(workTime.plus(OVER_THE_WORK_TIME)),
              new ServiceHandler(service, workTime, dataSource, clock, run));
        });
  }

  Map<Service, Queue> queues() {
    return queues;
  }

  /** In the order in which an order is sent to them. */
  List<Queue> inOrder() {
    return queues.entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .map(Map.Entry::getValue)
        .toList();
  }

  /** Running handlers finish, what waits for one goes back to its queue. Idempotent. */
  void stop() {
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
