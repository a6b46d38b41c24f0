package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;

class StallsTest extends UpkeepFixture {
  private List<List<Object>> stalls(String where) {
    return List.copyOf(
        database.rows(
            "SELECT state, query, holds_back, age > interval '1 second', xids_behind >= 0 FROM trunkline.stalls WHERE "
                + where));
  }

  @Test
  void an_open_publisher_is_named_with_what_it_holds_back() throws Exception {
    Topic topic = topic(Retention.forever().withAge(Duration.ofMinutes(10)));
    try (Connection open = database.connect();
        Statement statement = open.createStatement()) {
      open.setAutoCommit(false);
      topic.publish(open, Message.text("x"));
      statement.execute("SELECT 'the last thing it did'");
      String its = "pid = " + open.unwrap(PGConnection.class).getBackendPID();
      Awaits.untilAsserted(
          () ->
              assertThat(stalls(its))
                  .isEqualTo(
                      List.of(
                          List.of(
                              "idle in transaction",
                              "SELECT 'the last thing it did'",
                              "vacuum",
                              true,
                              true))));

      roll();
      anHourPasses();
      upkeep.runOnce();

      assertThat(stalls(its))
          .extracting(row -> row.get(2))
          .isEqualTo(List.of("vacuum, retention of topic orders"));
      open.rollback();
      assertThat(stalls(its)).isEmpty();
    }
  }

  @Test
  void a_reader_that_is_open_holds_back_the_retention_of_what_it_has_read() throws Exception {
    Topic topic = topic(Retention.forever().withAge(Duration.ofMinutes(10)));
    publish(topic, 1);
    roll();
    anHourPasses();
    try (Connection reader = database.connect();
        Statement statement = reader.createStatement()) {
      reader.setAutoCommit(false);
      statement.execute("SELECT count(*) FROM trunkline.record");
      String its = "pid = " + reader.unwrap(PGConnection.class).getBackendPID();

      Awaits.untilAsserted(
          () ->
              assertThat(stalls(its))
                  .extracting(row -> row.get(2).toString())
                  .allMatch(what -> what.endsWith("retention of topic orders"))
                  .hasSize(1));
      upkeep.runOnce();
      assertThat(chunks()).as("and so it does").contains("0");
      reader.rollback();
    }
    upkeep.runOnce();
    assertThat(chunks()).doesNotContain("0");
  }

  @Test
  void a_forgotten_replication_slot_is_named() {
    String slot = database.name();
    database.execute("SELECT pg_create_physical_replication_slot('" + slot + "', true)");
    try {
      assertThat(
              database.rows(
                  "SELECT kind, state, holds_back FROM trunkline.stalls WHERE name = ?", slot))
          .isEqualTo(List.of(List.of("replication slot", "inactive", "WAL")));
    } finally {
      database.execute("SELECT pg_drop_replication_slot('" + slot + "')");
    }
  }
}
