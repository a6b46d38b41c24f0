package dev.trunkline.demo;

import dev.trunkline.demo.GroupStatsStore.GroupStats;
import dev.trunkline.error.DatabaseException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.sql.DataSource;

/** The table of the groups while the demo runs. Not thread-safe. */
final class LiveTable {
  private static final String TITLES =
      "%-10s %9s %8s %8s %8s %6s %5s %10s"
          .formatted(
              "group", "published", "behind", "oldest", "retrying", "parked", "dead", "handled/s");

  private final Services services;
  private final DataSource dataSource;
  private final Intake intake;
  private final long start = System.nanoTime();
  private final Map<Service, Throughput> handled = new EnumMap<>(Service.class);
  private final Throughput placed = new Throughput();
  private Map<Service, GroupStats> last = Map.of();
  private String trouble = "";

  LiveTable(Services services, DataSource dataSource, Intake intake) {
    this.services = services;
    this.dataSource = dataSource;
    this.intake = intake;
  }

  /** Reads the groups; while the database is away, what was read last stays. */
  void look() {
    try {
      services.sequence();
      last = read();
      trouble = "";
      long now = System.nanoTime();
      placed.read(now, intake.accepted());
      last.forEach((service, stats) -> handled(service).read(now, stats.passed()));
    } catch (SQLException | DatabaseException e) {
      trouble = "the database does not answer: " + OneLine.of(e);
    }
  }

  private Map<Service, GroupStats> read() throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(true);
      Map<String, GroupStats> groups = GroupStatsStore.read(connection, Services.TOPIC);
      Map<Service, GroupStats> read = new EnumMap<>(Service.class);
      for (Service service : Service.values()) {
        GroupStats stats = groups.get(service.label());
        if (stats != null) {
          read.put(service, stats);
        }
      }
      return read;
    }
  }

  /** Whether nothing waits for any service, as far as is known. */
  boolean isAllHandled() {
    return trouble.isEmpty()
        && last.size() == Service.values().length
        && last.values().stream().allMatch(GroupStats::isDone);
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
      GroupStats stats = last.get(service);
      if (stats != null) {
        lines.add(line(service, stats));
      }
    }
    if (!trouble.isEmpty()) {
      lines.add(trouble);
    }
    return lines;
  }

  private String line(Service service, GroupStats stats) {
    return String.format(
        Locale.ROOT,
        "%-10s %9d %8d %6.1f s %8d %6d %5d %10.1f",
        service.label(),
        stats.published(),
        stats.behind(),
        stats.oldest().toMillis() / 1000.0,
        stats.retrying(),
        stats.parked(),
        stats.dead(),
        handled(service).perSecond());
  }

  private Throughput handled(Service service) {
    return handled.computeIfAbsent(service, key -> new Throughput());
  }

  private static String clock(Duration elapsed) {
    return "%02d:%02d".formatted(elapsed.toMinutes(), elapsed.toSecondsPart());
  }
}
