package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.support.PostgresTest;
import java.util.List;
import java.util.stream.LongStream;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.postgresql.ds.PGSimpleDataSource;

/** Records are read from the tables of their chunks by name. */
@PostgresTest
class ChunkReadTest extends UpkeepFixture {

  @Test
  void a_read_goes_on_from_one_chunk_to_the_next_in_the_order_of_the_log() {
    Topic topic = topic(Retention.forever());
    for (int chunk = 0; chunk < 4; chunk++) {
      for (int i = 0; i < 3; i++) {
        topic.publish(Message.text(chunk + "." + i));
      }
      roll();
    }

    List<TopicRecord> records = topic.read(0, 1, 100);

    assertThat(texts(records))
        .containsExactly(
            "0.1", "0.2", "1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "3.0", "3.1", "3.2");
    assertThat(records)
        .extracting(TopicRecord::offset)
        .containsExactlyElementsOf(LongStream.range(1, 12).boxed().toList());
  }

  @Test
  void whoever_may_read_all_records_may_read_the_chunks_that_are_made_later() {
    String role = role();
    trunkline.close();
    try (Trunkline application = openAs(role)) {
      Topic topic = application.topic("orders", TopicConfig.defaults().withPartitions(1));
      topic.publish(Message.text("1"));
      roll();
      topic.publish(Message.text("2"));

      assertThat(texts(topic.read(0, 0, 10))).containsExactly("1", "2");
      assertThat(readableChunks(role)).isEqualTo(tables()).isGreaterThanOrEqualTo(3);
    } finally {
      drop(role);
    }
  }

  @Test
  void a_role_that_may_read_the_log_only_as_a_whole_reads_it() {
    String role = role();
    trunkline.close();
    try (Trunkline application = openAs(role)) {
      Topic topic = application.topic("orders", TopicConfig.defaults().withPartitions(1));
      topic.publish(Message.text("1"));
      roll();
      topic.publish(Message.text("2"));
      database.execute(
          """
          DO $$
          DECLARE
            chunk regclass;
          BEGIN
            FOR chunk IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relname ~ '^record_[0-9]+_[0-9]+$' LOOP
              EXECUTE format('REVOKE ALL ON %%s FROM %1$s', chunk);
            END LOOP;
          END
          $$
          """
              .formatted(role));
      assertThat(readableChunks(role)).isZero();

      assertThat(texts(topic.read(0, 0, 10))).containsExactly("1", "2");
      assertThat(texts(topic.read(0, 1, 10))).containsExactly("2");
    } finally {
      drop(role);
    }
  }

  private String role() {
    String role = database.name().replace("trunkline_test", "role");
    database.execute(
        """
        CREATE ROLE %1$s LOGIN PASSWORD 'secret';
        GRANT USAGE ON SCHEMA trunkline TO %1$s;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA trunkline TO %1$s;
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA trunkline TO %1$s
        """
            .formatted(role));
    return role;
  }

  private Trunkline openAs(String role) {
    PGSimpleDataSource dataSource = new PGSimpleDataSource();
    dataSource.setUrl(database.url());
    dataSource.setUser(role);
    dataSource.setPassword("secret");
    return open(dataSource);
  }

  private static Trunkline open(DataSource dataSource) {
    return Trunkline.open(
        dataSource,
        TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF).withUpkeep(false));
  }

  private long readableChunks(String role) {
    return database.number(
        """
        SELECT count(*)
        FROM pg_class
        WHERE relkind = 'r' AND relname ~ '^record_[0-9]+_[0-9]+$' AND has_table_privilege(?, oid, 'SELECT')
        """,
        role);
  }

  private void drop(String role) {
    trunkline = Trunkline.open(database.dataSource());
    database.execute("DROP OWNED BY %1$s; DROP ROLE %1$s".formatted(role));
  }
}
