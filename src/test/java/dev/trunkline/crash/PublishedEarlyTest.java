package dev.trunkline.crash;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.OwnServer;
import dev.trunkline.topic.GroupConfig;
import dev.trunkline.topic.StartFrom;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import dev.trunkline.topic.TopicRecord;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where somebody reads in the same process, records are told of before the disk has them. */
class PublishedEarlyTest {
  private static final String DATABASE = "postgres";

  private final List<String> handled = new CopyOnWriteArrayList<>();
  private final Hushed hushed = Hushed.connectionTrouble();
  private OwnServer server;
  private HikariDataSource pool;
  private Trunkline trunkline;
  private Topic topic;

  @BeforeEach
  void read(@TempDir Path directory) {
    server = OwnServer.in(directory.resolve("early")).start();
    pool = server.pool(DATABASE);
    trunkline = Trunkline.open(pool);
    topic = trunkline.topic("early", TopicConfig.defaults().withPartitions(1));
    topic.subscribe(
        "reader",
        GroupConfig.from(StartFrom.earliest()),
        record -> handled.add(record.message().text()));
    topic.publish(Message.text("first"));
    Awaits.until(() -> handled.contains("first"));
  }

  @AfterEach
  void close() {
    trunkline.close();
    pool.close();
    server.close();
    hushed.close();
  }

  @Test
  void what_publish_has_returned_for_is_there_after_a_crash() throws SQLException {
    publishAndCrash(topic);
  }

  @Test
  void so_it_is_where_nobody_reads_whatever_the_pool_says_of_commits() throws SQLException {
    assertThat(server.run(DATABASE, "SHOW synchronous_commit")).isEqualTo("off");
    try (Trunkline other = Trunkline.open(pool)) {
      publishAndCrash(other.topic("early", topic.config()));
    }
  }

  private void publishAndCrash(Topic publisher) throws SQLException {
    try (Connection sequencer = server.connect(DATABASE);
        Statement statement = sequencer.createStatement()) {
      // Nobody takes a step: its commit would bring the record to the disk as well.
      statement.execute(
          "SELECT pg_advisory_lock(1416776814, id) FROM trunkline.topic WHERE name = 'early'");
      publisher.publish(Message.text("confirmed"));
      server.crash();
    }
    server.start();

    Awaits.untilAsserted(
        () ->
            assertThat(topic.read(0, 0, 10))
                .extracting(TopicRecord::message)
                .extracting(message -> message.text())
                .containsExactly("first", "confirmed"));
  }

  @Test
  void publish_waits_until_the_disk_has_the_record_and_so_does_its_handler() throws SQLException {
    // Whoever waits for the disk waits for this standby, too, which does not exist.
    setStandby("nobody");
    CompletableFuture<Void> publish =
        CompletableFuture.runAsync(() -> topic.publish(Message.text("on its way")));
    Awaits.until(() -> waitingForTheStandby() >= 2);

    assertThat(
            server.run(
                DATABASE,
                "SELECT count(*) FROM trunkline.record WHERE convert_from(payload, 'UTF8') = 'on its way'"))
        .as("committed, and to be sequenced")
        .isEqualTo("1");
    assertThat(publish).as("publish").isNotDone();
    assertThat(handled).as("handled").containsExactly("first");

    setStandby("");
    publish.join();
    Awaits.until(() -> handled.contains("on its way"));
  }

  private void setStandby(String name) throws SQLException {
    server.run(DATABASE, "ALTER SYSTEM SET synchronous_standby_names = '" + name + "'");
    server.run(DATABASE, "SELECT pg_reload_conf()");
    Awaits.until(() -> name.equals(server.run(DATABASE, "SHOW synchronous_standby_names")));
  }

  private int waitingForTheStandby() throws SQLException {
    return Integer.parseInt(
        server.run(DATABASE, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"));
  }
}
