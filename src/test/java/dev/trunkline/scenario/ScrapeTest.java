package dev.trunkline.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.metrics.MetricsConfig;
import dev.trunkline.metrics.TrunklineMetrics;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/**
 * What a scrape of all metrics asks of the database, and what it says when that does not answer.
 */
@PostgresTest
class ScrapeTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);

  private static final MetricsConfig PATIENT =
      MetricsConfig.defaults().withMaxWait(Duration.ofSeconds(20));

  private final MeterRegistry registry = new SimpleMeterRegistry();
  private TestDatabase database;

  @AfterEach
  void leave_nothing() {
    database.truncateAll();
  }

  @Test
  void a_scrape_is_two_statements_whatever_the_number_of_meters_and_none_while_values_are_young() {
    TamperedDataSource counting =
        new TamperedDataSource(database.dataSource(), TamperedDataSource.Notifications.ARRIVE);
    try (Trunkline trunkline = Trunkline.open(counting.dataSource(), OPENED)) {
      for (int i = 0; i < 30; i++) {
        trunkline.queue("queue-" + i, QueueConfig.defaults().withMaxMessages(100));
      }
      for (int i = 0; i < 2; i++) {
        Topic topic = trunkline.topic("topic-" + i, TopicConfig.defaults().withPartitions(16));
        topic.join("group", GroupConfig.from(StartFrom.earliest())).close();
      }
      try (TrunklineMetrics metrics =
          new TrunklineMetrics(trunkline, PATIENT.withMaxAge(Duration.ofMillis(300)))) {
        metrics.bindTo(registry);
        assertThat(registry.getMeters()).hasSize(1 + 30 * 11 + 2 * 16 * 2);
        long began = System.nanoTime();
        for (int i = 0; i < 10; i++) {
          scrape();
        }
        long later = 1 + (System.nanoTime() - began) / 300_000_000;
        assertThat(counting.executedBy("trunkline-metrics")).isBetween(2L, 2 + 2 * later);
        Awaits.until(
            () -> {
              long before = counting.executedBy("trunkline-metrics");
              scrape();
              return counting.executedBy("trunkline-metrics") == before + 2;
            });
      }
      long afterwards = counting.executedBy("trunkline-metrics");
      scrape();
      assertThat(counting.executedBy("trunkline-metrics")).isEqualTo(afterwards);
    }
  }

  @Test
  void nothing_is_asked_while_nobody_reads() {
    TamperedDataSource counting =
        new TamperedDataSource(database.dataSource(), TamperedDataSource.Notifications.ARRIVE);
    try (Trunkline trunkline =
            Trunkline.open(counting.dataSource(), OPENED.withPollInterval(Duration.ofMillis(20)));
        TrunklineMetrics metrics =
            new TrunklineMetrics(trunkline, PATIENT.withMaxAge(Duration.ZERO))) {
      metrics.bindTo(registry);
      long bound = counting.executedBy("trunkline-metrics");
      long pulses = counting.executedBy("trunkline-pulse");
      Awaits.until(() -> counting.executedBy("trunkline-pulse") > pulses + 10);
      assertThat(counting.executedBy("trunkline-metrics")).isEqualTo(bound).isEqualTo(2);
    }
  }

  @Test
  void while_the_database_is_away_gauges_are_unknown_and_counters_stay_and_that_is_said_once() {
    HikariDataSource pool =
        database.pool(
            config -> {
              config.setConnectionTimeout(300);
              config.addDataSourceProperty("ApplicationName", "scraped");
            });
    ListAppender<ILoggingEvent> log = listen();
    try (Trunkline trunkline = Trunkline.open(pool, OPENED);
        TestDatabase other = TestDatabase.empty();
        TrunklineMetrics metrics =
            new TrunklineMetrics(trunkline, PATIENT.withMaxAge(Duration.ofMillis(50)))) {
      Queue emails = trunkline.queue("emails", QueueConfig.defaults());
      emails.send(Message.text("hello"));
      metrics.bindTo(registry);
      assertThat(ready()).isOne();
      other.execute("ALTER DATABASE %s WITH ALLOW_CONNECTIONS false".formatted(database.name()));
      try {
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'scraped'");
        Awaits.until(() -> Double.isNaN(ready()));
        scrape();
        assertThat(registry.get("trunkline.up").gauge().value()).isZero();
        assertThat(registry.get("trunkline.queue.oldest.ready").timeGauge().value()).isNaN();
        assertThat(registry.get("trunkline.queue.sent").functionCounter().count()).isOne();
      } finally {
        other.execute("ALTER DATABASE %s WITH ALLOW_CONNECTIONS true".formatted(database.name()));
      }
      Awaits.until(() -> ready() == 1);
      assertThat(registry.get("trunkline.up").gauge().value()).isOne();
    } finally {
      stop(log);
    }
    assertThat(lines(log))
        .containsExactly(
            "metrics: they cannot be read, and are unknown until they can",
            "metrics: they can be read again");
  }

  @Test
  void metrics_that_are_bound_while_the_database_does_not_answer_come_when_it_does()
      throws SQLException {
    HikariDataSource pool = database.pool(config -> config.setMaximumPoolSize(4));
    ListAppender<ILoggingEvent> log = listen();
    try (Trunkline trunkline = Trunkline.open(pool, OPENED);
        TrunklineMetrics metrics =
            new TrunklineMetrics(
                trunkline,
                MetricsConfig.defaults()
                    .withMaxAge(Duration.ZERO)
                    .withMaxWait(Duration.ofMillis(200)))) {
      for (int i = 0; i < 10; i++) {
        trunkline.queue("queue-" + i, QueueConfig.defaults());
      }
      List<Connection> taken = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        taken.add(pool.getConnection());
      }
      long began = System.nanoTime();
      metrics.bindTo(registry);
      scrape();
      scrape();
      assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(2));
      assertThat(registry.getMeters()).hasSize(1);
      for (Connection connection : taken) {
        connection.close();
      }
      Awaits.until(() -> registry.find("trunkline.queue.ready").gauges().size() == 10);
      Awaits.until(() -> registry.get("trunkline.up").gauge().value() == 1);
    } finally {
      stop(log);
    }
    assertThat(lines(log)).hasSizeLessThanOrEqualTo(2);
  }

  private double ready() {
    return registry.get("trunkline.queue.ready").gauge().value();
  }

  private void scrape() {
    for (Meter meter : registry.getMeters()) {
      meter.measure().forEach(measurement -> measurement.getValue());
    }
  }

  private static Logger logger() {
    return (Logger) LoggerFactory.getLogger("dev.trunkline.metrics");
  }

  private static ListAppender<ILoggingEvent> listen() {
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    logger().addAppender(log);
    return log;
  }

  private static void stop(ListAppender<ILoggingEvent> log) {
    logger().detachAppender(log);
    log.stop();
  }

  private static List<String> lines(ListAppender<ILoggingEvent> log) {
    return List.copyOf(log.list).stream().map(ILoggingEvent::getFormattedMessage).toList();
  }
}
