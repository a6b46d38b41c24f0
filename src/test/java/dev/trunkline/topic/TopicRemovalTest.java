package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.event.TrunklineListener;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.postgresql.ds.PGSimpleDataSource;

class TopicRemovalTest extends UpkeepFixture {
  private static final Retention TEN_MINUTES = Retention.forever().withAge(Duration.ofMinutes(10));

  private long leftOf(int topicId) {
    return database.number(
        """
        SELECT (SELECT count(*) FROM pg_class WHERE relname ~ ('^record_' || t.id || '(_|$)'))
          + (SELECT count(*) FROM trunkline.topic WHERE id = t.id)
          + (SELECT count(*) FROM trunkline.topic_partition WHERE topic_id = t.id)
          + (SELECT count(*) FROM trunkline.chunk WHERE topic_id = t.id)
          + (SELECT count(*) FROM trunkline.segment WHERE topic_id = t.id)
          + (SELECT count(*) FROM trunkline.sequencing WHERE topic_id = t.id)
          + (SELECT count(*) FROM trunkline.latest_by_key WHERE topic_id = t.id)
          + (SELECT count(*) FROM trunkline.compaction WHERE topic_id = t.id)
          + (SELECT count(*) FROM trunkline.consumer_group WHERE topic_id = t.id)
        FROM (SELECT ?::integer AS id) t
        """,
        topicId);
  }

  private int id() {
    return (int) database.number("SELECT id FROM trunkline.topic WHERE deleted_at IS NULL");
  }

  @Test
  void a_deleted_topic_leaves_nothing_behind() {
    Topic topic =
        trunkline.topic(
            "orders", TopicConfig.defaults().withPartitions(3).withCompaction(Compaction.on()));
    int id = id();
    topic.publish(Message.text("x").withKey("k"));
    topic.endOffsets();
    roll();
    topic.publish(Message.text("y").withKey("k"));
    topic.endOffsets();
    upkeep.runOnce();
    assertThat(leftOf(id)).isGreaterThan(15);

    topic.delete();

    // A process that takes part in the upkeep does it by itself.
    try (Trunkline caretaker = Trunkline.open(database.dataSource())) {
      assertThat(caretaker.topicNames()).isEqualTo(List.of());
      Awaits.untilAsserted(() -> assertThat(leftOf(id)).isZero());
    }
    Topic next = trunkline.topic("orders", TopicConfig.defaults());
    next.publish(Message.text("new").withKey("k"));
    assertThat(next.read(Partitioner.partitionOf("k", 4), 0, 10)).hasSize(1);
  }

  @Test
  void the_tables_stay_while_a_transaction_uses_them_and_other_topics_work() throws Exception {
    Topic topic = topic(TEN_MINUTES);
    int id = id();
    Topic other = trunkline.topic("other", TopicConfig.defaults());
    try (Connection open = database.connect()) {
      open.setAutoCommit(false);
      topic.publish(open, Message.text("x"));
      topic.delete();
      upkeep.runOnce();
      upkeepOn(database.dataSource(), TrunklineListener.NONE).runOnce();
      assertThat(leftOf(id)).isPositive();
      other.publish(Message.text("works"));
      open.commit();
    }

    Awaits.untilAsserted(
        () -> {
          upkeep.runOnce();
          assertThat(leftOf(id)).isZero();
        });
    assertThat(other.endOffsets().values().stream().mapToLong(Long::longValue).sum()).isEqualTo(1);
  }

  @Test
  void a_role_without_ownership_does_all_of_it() {
    String role = database.name().replace("trunkline_test", "role");
    database.execute(
        """
        CREATE ROLE %1$s LOGIN PASSWORD 'secret';
        GRANT USAGE ON SCHEMA trunkline TO %1$s;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA trunkline TO %1$s;
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA trunkline TO %1$s
        """
            .formatted(role));
    PGSimpleDataSource asRole = new PGSimpleDataSource();
    asRole.setUrl(database.url());
    asRole.setUser(role);
    asRole.setPassword("secret");
    trunkline.close();
    try (Trunkline application =
        Trunkline.open(asRole, TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF))) {
      Upkeep process = upkeepOn(asRole, TrunklineListener.NONE);
      Topic topic =
          application.topic(
              "orders",
              TopicConfig.defaults()
                  .withPartitions(1)
                  .withRetention(TEN_MINUTES)
                  .withCompaction(Compaction.on()));
      int id = id();
      topic.publish(Message.text("1").withKey("k"));
      topic.endOffsets();
      anHourPasses();
      process.runOnce();
      topic.publish(Message.text("2").withKey("k"));
      topic.publish(Message.text("3").withKey("k"));
      topic.endOffsets();

      Awaits.untilAsserted(
          () -> {
            anHourPasses();
            process.runOnce();
            assertThat(database.number("SELECT min(number) FROM trunkline.chunk")).isPositive();
          });
      assertThat(topic.beginningOffsets().get(0)).isPositive();

      topic.delete();
      Awaits.untilAsserted(() -> assertThat(leftOf(id)).isZero());
      assertThat(application.topicNames()).isEqualTo(List.of());
    } finally {
      trunkline = Trunkline.open(database.dataSource());
      database.execute("DROP OWNED BY %1$s; DROP ROLE %1$s".formatted(role));
    }
  }
}
