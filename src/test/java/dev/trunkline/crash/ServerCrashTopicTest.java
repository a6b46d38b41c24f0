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
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The log through crashes of its server, and then with transaction ids that do not fit 32 bits. */
class ServerCrashTopicTest {
  private static final TopicConfig CONFIG = TopicConfig.defaults().withPartitions(2);
  private static final int CRASHES = 1;

  private final Readings readings = new Readings();

  /** What {@link Topic#publish} has returned for. */
  private final Set<String> confirmed = ConcurrentHashMap.newKeySet();

  private final AtomicBoolean stop = new AtomicBoolean();

  @Test
  void offsets_stay_and_nothing_is_lost_through_crashes_and_beyond_32_bits_of_xids(
      @TempDir Path directory) throws Exception {
    try (Hushed hushed = Hushed.connectionTrouble();
        OwnServer server = OwnServer.in(directory.resolve("crashed")).start();
        HikariDataSource pool = server.pool("postgres");
        Trunkline trunkline = Trunkline.open(pool)) {
      Topic topic = trunkline.topic("crashed", CONFIG);
      List<Thread> threads =
          List.of(
              new Thread(() -> publish(topic, "own"), "publisher"),
              new Thread(() -> publishUnsafely(server, topic), "unsafe publisher"),
              new Thread(() -> read(topic), "reader"));
      threads.forEach(Thread::start);
      try {
        for (int crash = 0; crash < CRASHES; crash++) {
          int enough = readings.size() + 500;
          Awaits.until(() -> readings.size() > enough);
          List<Connection> held = wasteXids(server);
          server.crash();
          for (Connection connection : held) {
            connection.close();
          }
          server.start();
          assertThatNoXidOfASnapshotIsHandedOutAgain(server);
        }
        int enough = readings.size() + 500;
        Awaits.until(() -> readings.size() > enough);
      } finally {
        stop.set(true);
        for (Thread thread : threads) {
          thread.join();
        }
      }
      check(topic);

      topic.publish(Message.text("without an offset"));
      confirmed.add("without an offset");
      do {
        server.close();
        server.start();
        server.close();
      } while (!XidEpoch.raise(server.data()));
      server.start();
      pool.getHikariPoolMXBean().softEvictConnections();
      assertThat(Long.parseLong(server.run("postgres", "SELECT pg_current_xact_id()::text")))
          .isGreaterThan(1L << 32);
      check(topic);
      goOnBeyond32Bits(server, topic);
    }
  }

  private void check(Topic topic) {
    int read = readings.size();
    List<String> whole = readings.whole(topic);
    assertThat(readings.changed()).as("offsets that changed").isEmpty();
    assertThat(whole).as("confirmed").containsAll(confirmed);
    assertThat(Readings.twice(whole)).isEmpty();
    assertThat(whole).as("read once, and gone").hasSizeGreaterThanOrEqualTo(read);
    assertThat(readings.size()).isEqualTo(whole.size());
  }

  private void goOnBeyond32Bits(OwnServer server, Topic topic) throws SQLException {
    try (Connection early = server.connect("postgres");
        Connection late = server.connect("postgres")) {
      early.setAutoCommit(false);
      late.setAutoCommit(false);
      topic.publish(early, Message.text("early").withKey("k"));
      topic.publish(late, Message.text("late").withKey("k"));
      for (int i = 0; i < 5; i++) {
        topic.publish(Message.text("beyond " + i).withKey("k"));
        confirmed.add("beyond " + i);
        check(topic);
      }
      late.commit();
      confirmed.add("late");
      check(topic);
      early.commit();
      confirmed.add("early");
      check(topic);
    }
  }

  private void publish(Topic topic, String name) {
    for (int i = 0; !stop.get(); i++) {
      String text = name + "-" + i;
      try {
        topic.publish(Message.text(text).withKey("k" + i % 5));
        confirmed.add(text);
      } catch (DatabaseException e) {
        // Whether it was stored is not known: it may be there, and need not be.
        continue;
      }
    }
  }

  /** In transactions whose commit is not on disk when it is confirmed: they may go, until read. */
  private void publishUnsafely(OwnServer server, Topic topic) {
    for (int i = 0; !stop.get(); i++) {
      try (Connection connection = server.connect("postgres")) {
        connection.setAutoCommit(false);
        for (int n = 0; n < 200 && !stop.get(); n++) {
          String text = "unsafe-%d-%d".formatted(i, n);
          topic.publishAll(
              connection,
              IntStream.range(0, 3)
                  .mapToObj(j -> Message.text(text + "." + j).withKey("k" + j))
                  .toList());
          connection.commit();
        }
      } catch (SQLException | DatabaseException e) {
        continue;
      }
    }
  }

  private void read(Topic topic) {
    Map<Integer, Long> positions = new HashMap<>();
    while (!stop.get()) {
      try {
        readings.readOn(topic, positions);
      } catch (DatabaseException e) {
        continue;
      }
    }
  }

  /** Xids of which the server has nothing on disk: some over, some still held when it crashes. */
  private static List<Connection> wasteXids(OwnServer server) throws SQLException {
    List<Connection> held = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      Connection connection = server.connect("postgres");
      connection.setAutoCommit(false);
      held.add(connection);
      try (Statement statement = connection.createStatement()) {
        for (int n = 0; n < 20; n++) {
          statement.execute("SELECT pg_current_xact_id()");
          connection.rollback();
        }
        statement.execute("SELECT pg_current_xact_id()");
      }
    }
    return held;
  }

  private static void assertThatNoXidOfASnapshotIsHandedOutAgain(OwnServer server)
      throws SQLException {
    assertThat(
            server.run(
                "postgres",
                """
                SELECT bool_and(pg_snapshot_xmax(snapshot) < pg_snapshot_xmax(pg_current_snapshot()))
                FROM trunkline.sequencing
                """))
        .isEqualTo("t");
  }
}
