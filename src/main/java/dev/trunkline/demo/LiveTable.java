package dev.trunkline.demo;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueStats;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The table of the queues while the demo runs. Not thread-safe. */
final class LiveTable {
  private static final String TITLES =
      "%-10s %9s %9s %10s %10s %7s %10s"
          .formatted("queue", "sent", "ready", "in flight", "scheduled", "dead", "handled/s");

  private final Map<Service, Queue> queues;
  private final Intake intake;
  private final long start = System.nanoTime();
  private final Map<Service, Throughput> handled = new EnumMap<>(Service.class);
  private final Throughput placed = new Throughput();
  private Map<Service, QueueStats> last = Map.of();
  private String trouble = "";

  LiveTable(Map<Service, Queue> queues, Intake intake) {
    this.queues = new EnumMap<>(queues);
    this.intake = intake;
  }

  /** Reads the queues; while the database is away, what was read last stays. */
  void look() {
    Map<Service, QueueStats> read = new EnumMap<>(Service.class);
    try {
      queues.forEach((service, queue) -> read.put(service, queue.stats()));
      last = read;
      trouble = "";
      long now = System.nanoTime();
      placed.read(now, intake.accepted());
      read.forEach((service, stats) -> handled(service).read(now, stats.acked()));
    } catch (DatabaseException e) {
      trouble = "the database does not answer: " + OneLine.of(e);
    }
  }

  /** Whether nothing waits in any queue, as far as is known. */
  boolean isAllHandled() {
    return trouble.isEmpty()
        && !last.isEmpty()
        && last.values().stream()
            .allMatch(stats -> stats.ready() + stats.inFlight() + stats.scheduled() == 0);
  }

  /** The table, with a line above it that says what goes on. */
  List<String> lines(String activity) {
    List<String> lines = new ArrayList<>();
    lines.add(
        String.format(
            Locale.ROOT,
            "%s  %s; orders: %d committed (%.1f/s), %d duplicates, %d refused",
            clock(Duration.ofNanos(System.nanoTime() - start)),
            activity,
            intake.accepted(),
            placed.perSecond(),
            intake.known(),
            intake.refused()));
    lines.add(TITLES);
    for (Service service : Service.values()) {
      QueueStats stats = last.get(service);
      if (stats != null) {
        lines.add(line(service, stats));
      }
    }
    if (!trouble.isEmpty()) {
      lines.add(trouble);
    }
    return lines;
  }

  private String line(Service service, QueueStats stats) {
    return String.format(
        Locale.ROOT,
        "%-10s %9d %9d %10d %10d %7d %10.1f%s",
        service.label(),
        stats.sent(),
        stats.ready(),
        stats.inFlight(),
        stats.scheduled(),
        stats.dead(),
        handled(service).perSecond(),
        stats.paused() ? "  paused" : "");
  }

  private Throughput handled(Service service) {
    return handled.computeIfAbsent(service, key -> new Throughput());
  }

  private static String clock(Duration elapsed) {
    return "%02d:%02d".formatted(elapsed.toMinutes(), elapsed.toSecondsPart());
  }
}
