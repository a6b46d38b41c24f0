package dev.trunkline.crash;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.Trunkline;
import dev.trunkline.error.DatabaseException;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.OwnServer;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PromotedStandbyTest {
  private static final TopicConfig CONFIG = TopicConfig.defaults().withPartitions(2);

  private final Readings readings = new Readings();
  private final Set<String> confirmed = ConcurrentHashMap.newKeySet();
  private final AtomicBoolean stop = new AtomicBoolean();

  @Test
  @Tag("torture")
  void on_a_promoted_standby_the_log_goes_on_as_if_nothing_had_happened(@TempDir Path directory)
      throws Exception {
    try (Hushed hushed = Hushed.connectionTrouble();
        OwnServer primary =
            OwnServer.in(directory.resolve("primary")).setting("wal_keep_size", "256MB").start();
        OwnServer standby = OwnServer.in(directory.resolve("standby"))) {
      loseThePrimary(primary, standby);
      standby.run("postgres", "SELECT pg_promote()");

      try (HikariDataSource pool = standby.pool("postgres");
          Trunkline trunkline = Trunkline.open(pool)) {
        Topic topic = trunkline.topic("replicated", CONFIG);
        check(topic);
        for (int i = 0; i < 5; i++) {
          topic.publish(Message.text("promoted " + i));
          confirmed.add("promoted " + i);
          check(topic);
        }
        assertThat(
                standby.run("postgres", "SELECT count(DISTINCT cluster) FROM trunkline.sequencing"))
            .isEqualTo("1");
      }
    }
  }

  /** It publishes and is read until it crashes; what it confirms is on the standby as well. */
  private void loseThePrimary(OwnServer primary, OwnServer standby) throws Exception {
    try (HikariDataSource pool = primary.pool("postgres");
        Trunkline trunkline = Trunkline.open(pool)) {
      Topic topic = trunkline.topic("replicated", CONFIG);
      AtomicBoolean counts = new AtomicBoolean();
      List<Thread> threads =
          List.of(
              new Thread(() -> publish(topic, counts), "publisher"),
              new Thread(() -> read(topic, counts), "reader"));
      threads.forEach(Thread::start);
      try {
        copy(primary, standby);
        standby.start();
        primary.run("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.run("postgres", "SELECT pg_reload_conf()");
        Awaits.until(
            () ->
                "sync"
                    .equals(
                        primary.run(
                            "postgres", "SELECT max(sync_state) FROM pg_stat_replication")));
        counts.set(true);
        Awaits.until(() -> confirmed.size() > 300 && readings.size() > 300);
        primary.crash();
      } finally {
        stop.set(true);
        for (Thread thread : threads) {
          thread.join();
        }
      }
    }
  }

  private void check(Topic topic) {
    int read = readings.size();
    List<String> whole = readings.whole(topic);
    assertThat(readings.changed()).as("offsets that changed").isEmpty();
    assertThat(whole).as("confirmed").containsAll(confirmed);
    assertThat(Readings.twice(whole)).isEmpty();
    assertThat(whole).as("read once, and gone").hasSizeGreaterThanOrEqualTo(read);
  }

  private void publish(Topic topic, AtomicBoolean counts) {
    for (int i = 0; !stop.get(); i++) {
      boolean counted = counts.get();
      try {
        topic.publish(Message.text("m" + i));
        if (counted) {
          confirmed.add("m" + i);
        }
      } catch (DatabaseException e) {
        continue;
      }
    }
  }

  private void read(Topic topic, AtomicBoolean counts) {
    Map<Integer, Long> positions = new HashMap<>();
    while (!stop.get()) {
      try {
        // What is read before the standby keeps up need not be there.
        (counts.get() ? readings : new Readings()).readOn(topic, positions);
      } catch (DatabaseException e) {
        continue;
      }
    }
  }

  /** As pg_basebackup does it, which is not among the embedded binaries. */
  private static void copy(OwnServer primary, OwnServer standby) throws SQLException, IOException {
    try (Connection connection = primary.connect("postgres");
        Statement statement = connection.createStatement()) {
      boolean before15 = connection.getMetaData().getDatabaseMajorVersion() < 15;
      statement.execute(
          before15
              ? "SELECT pg_start_backup('copy', true, false)"
              : "SELECT pg_backup_start('copy', true)");
      copyFiles(primary.data(), standby.data());
      try (ResultSet stopped =
          statement.executeQuery(
              before15
                  ? "SELECT labelfile FROM pg_stop_backup(false, false)"
                  : "SELECT labelfile FROM pg_backup_stop(false)")) {
        stopped.next();
        Files.writeString(standby.data().resolve("backup_label"), stopped.getString(1));
      }
    }
    Files.createFile(standby.data().resolve("standby.signal"));
    Files.writeString(
        standby.data().resolve("postgresql.auto.conf"),
        "primary_conninfo = 'host=localhost port=%d user=postgres'%n".formatted(primary.port()),
        StandardOpenOption.APPEND);
  }

  /** All but the log, which is streamed, and what belongs to the running server. */
  private static void copyFiles(Path from, Path to) throws IOException {
    List<Path> paths;
    try (Stream<Path> walk = Files.walk(from)) {
      paths = walk.toList();
    }
    for (Path path : paths) {
      Path relative = from.relativize(path);
      Path target = to.resolve(relative);
      if (Files.isDirectory(path)) {
        Files.createDirectories(target);
      } else if (!relative.startsWith("pg_wal")
          && !relative.getFileName().toString().startsWith("postmaster")) {
        try {
          Files.copy(path, target);
        } catch (NoSuchFileException e) {
          // Gone while we copied: the log tells the standby, too.
          continue;
        }
      }
    }
    Files.setPosixFilePermissions(
        to, java.nio.file.attribute.PosixFilePermissions.fromString("rwx------"));
  }
}
