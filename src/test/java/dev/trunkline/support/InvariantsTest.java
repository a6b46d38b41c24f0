package dev.trunkline.support;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The check itself: it sees each way in which the tables can disagree. */
@PostgresTest
class InvariantsTest {
  private static final String QUEUE =
      """
      INSERT INTO trunkline.queue (
        id, name, visibility_timeout, max_deliveries, retry_initial_delay, retry_max_delay,
        retry_multiplier, retry_jitter, max_payload_bytes)
      OVERRIDING SYSTEM VALUE VALUES (1, 'emails', '30s', 5, '1s', '1h', 2, 'FULL', 1000)
      """;
  private static final String MESSAGE =
      "INSERT INTO trunkline.message (id, queue_id, priority, payload) VALUES (1, 1, 5, 'x')";
  private static final String READY =
      "INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids) VALUES (1, 1, 1, 5, '{1}')";
  private static final String SCHEDULED =
      """
      INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority)
      VALUES (1, now(), 1, 1, 5)
      """;
  private static final String LEASE =
      """
      INSERT INTO trunkline.lease (
        id, consumer_id, visible_at, queue_id, ids, deliveries, acquired)
      OVERRIDING SYSTEM VALUE VALUES (9, 3, now(), 1, '{1}', '{0}', '{1}')
      """;
  private static final String CONSUMER =
      """
      INSERT INTO trunkline.consumer (id, host, pid, heartbeat_timeout)
      OVERRIDING SYSTEM VALUE VALUES (3, 'here', 1, '5s')
      """;
  private static final String DEAD =
      """
      INSERT INTO trunkline.dead_letter (
        message_id, queue, reason, deliveries, acquired, enqueued_at, priority, payload)
      VALUES (1, 'emails', 'REJECTED', 1, 1, now(), 5, 'x')
      """;

  /** A topic of two records with offsets, and one that has none yet. */
  private static final String TOPIC =
      """
      INSERT INTO trunkline.topic (id, name, partitions, max_payload_bytes, slow_groups)
      OVERRIDING SYSTEM VALUE VALUES (1000, 'orders', 1, 1000, 'HOLD');
      INSERT INTO trunkline.topic_partition (topic_id, partition) VALUES (1000, 0);
      SELECT trunkline.create_topic_storage(1000);
      DELETE FROM trunkline.sequencing;
      INSERT INTO trunkline.record (xid, id, topic_id, partition, payload)
      VALUES ('100', 1, 1000, 0, 'x'), ('101', 2, 1000, 0, 'y'), ('199', 3, 1000, 0, 'z');
      INSERT INTO trunkline.sequencing (
        topic_id, snapshot, floor_id, next_floor_xid, next_floor_id, cluster, sequenced_at)
      VALUES (1000, '199:200:199', 2, '1', 2, 1, now());
      INSERT INTO trunkline.segment (topic_id, partition, base_offset, appended_at, bytes, chunk, ids)
      VALUES (1000, 0, 0, now(), 1, 0, '{1}'), (1000, 0, 1, now(), 1, 0, '{2}')
      """;

  private TestDatabase database;

  @BeforeEach
  void declareTheQueue() {
    database.execute(QUEUE);
  }

  @AfterEach
  void dropTheTopic() {
    database.execute(
        """
        DROP TABLE IF EXISTS trunkline.record_1000;
        DROP SEQUENCE IF EXISTS trunkline.record_1000_id_seq
        """);
  }

  @AfterEach
  void leaveNothingBroken() {
    database.truncateAll();
  }

  static Stream<Arguments> broken() {
    return Stream.of(
        Arguments.of("message 1 is in no state", MESSAGE),
        Arguments.of("ready holds message 1, which is gone", READY),
        Arguments.of("scheduled holds message 1, which is gone", SCHEDULED),
        Arguments.of("lease 9 holds message 1, which is gone", LEASE),
        Arguments.of(
            "message 1 is in 2 states: ready, scheduled", MESSAGE + ";" + READY + ";" + SCHEDULED),
        Arguments.of(
            "message 1 is in 2 states: lease 9, ready", MESSAGE + ";" + READY + ";" + LEASE),
        Arguments.of("lease 9 is held by consumer 3, which is gone", MESSAGE + ";" + LEASE),
        Arguments.of("message 1 is alive and in dead letter", MESSAGE + ";" + READY + ";" + DEAD),
        Arguments.of("queue emails: ready tallied as 0, not 1", MESSAGE + ";" + READY),
        Arguments.of("queue emails: waiting bytes tallied as 0, not 1", MESSAGE + ";" + READY),
        Arguments.of("queue emails: scheduled tallied as 0, not 1", MESSAGE + ";" + SCHEDULED),
        Arguments.of("queue emails: in flight tallied as 0, not 1", MESSAGE + ";" + LEASE),
        Arguments.of("queue emails: dead tallied as 0, not 1", DEAD),
        Arguments.of(
            "queue emails: ready tallied as 2, not 0",
            "INSERT INTO trunkline.tally (queue_id, ready) VALUES (1, 1), (1, 1)"),
        Arguments.of(
            "topic 1000, step 2: a floor of 3 after 4, and 3 to come",
            """
            INSERT INTO trunkline.sequencing (
              topic_id, id, snapshot, floor_id, next_floor_xid, next_floor_id, cluster, sequenced_at)
            OVERRIDING SYSTEM VALUE VALUES
              (1000, 1, '1:1:', 4, '1', 4, 1, now()), (1000, 2, '1:1:', 3, '1', 3, 1, now())
            """),
        Arguments.of(
            "a deduplication id of queue 7, which is gone",
            """
            INSERT INTO trunkline.dedup (queue_id, scope, dedup_id, message_id, expires_at)
            VALUES (7, '', 'a', 1, now())
            """),
        Arguments.of(
            "a producer of queue 7, which is gone",
            "INSERT INTO trunkline.producer (queue_id, name) VALUES (7, 'a')"),
        Arguments.of(
            "progress of producer 7, which is gone",
            "INSERT INTO trunkline.producer_progress (producer_id, sequence) VALUES (7, 1)"),
        Arguments.of(
            "message 1 expires at",
            MESSAGE + ";" + READY + "; UPDATE trunkline.message SET expires_at = now()"),
        Arguments.of(
            "message 1 of queue 1, priority 5, is in ready of queue 1, priority 4",
            MESSAGE + ";" + READY.replace(", 5, '", ", 4, '")),
        Arguments.of(
            "record 3 of topic orders, partition 0: 0 offsets, in partition none",
            TOPIC + "; UPDATE trunkline.sequencing SET snapshot = '200:200:'"),
        Arguments.of(
            "record 3 of topic orders, partition 0: 0 offsets, in partition none",
            TOPIC + "; UPDATE trunkline.sequencing SET floor_id = 3"),
        Arguments.of(
            "record 1 of topic orders, partition 0: 2 offsets",
            TOPIC + "; UPDATE trunkline.segment SET ids = '{1,2}' WHERE base_offset = 1"),
        Arguments.of(
            "record 2 of topic orders, partition 0: 1 offsets, in partition 1",
            TOPIC + "; UPDATE trunkline.segment SET partition = 1 WHERE base_offset = 1"),
        Arguments.of(
            "topic orders, partition 0: a segment at offset 2, appended at",
            TOPIC + "; UPDATE trunkline.segment SET base_offset = 2 WHERE base_offset = 1"),
        Arguments.of(
            "topic orders, partition 0: a segment at offset 1, appended at",
            TOPIC + "; UPDATE trunkline.segment SET ids = '{1,3}' WHERE base_offset = 0"),
        Arguments.of(
            "topic orders, partition 0: a segment at offset 1, appended at",
            TOPIC
                + "; UPDATE trunkline.segment SET appended_at = 'yesterday' WHERE base_offset = 1"),
        Arguments.of(
            "topic orders, partition 0: a segment at offset 0, appended at",
            TOPIC + "; UPDATE trunkline.topic_partition SET log_start = 1 WHERE topic_id = 1000"),
        Arguments.of(
            "topic 1000, partition 0, the segment at 1: ids {2,3,4,",
            TOPIC
                + "; UPDATE trunkline.segment SET ids = ARRAY(SELECT generate_series(2, 202)) WHERE base_offset = 1"),
        Arguments.of(
            "topic 1000, partition 0, the segment at 1: ids {2,2}",
            TOPIC + "; UPDATE trunkline.segment SET ids = '{2,2}' WHERE base_offset = 1"),
        Arguments.of(
            "topic 1000, partition 0, the segment at 1: ids {2,1099511627777}",
            TOPIC
                + "; UPDATE trunkline.segment SET ids = '{2,1099511627777}' WHERE base_offset = 1"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("broken")
  void every_disagreement_is_seen(String expected, String statements) {
    database.execute(statements);

    assertThat(Invariants.broken(database)).anyMatch(line -> line.startsWith(expected));
  }

  @Test
  void a_record_without_an_offset_that_the_last_step_did_not_see_is_all_right() {
    database.execute(TOPIC);
    assertThat(Invariants.broken(database)).isEmpty();
    database.execute("UPDATE trunkline.sequencing SET snapshot = '199:199:'");
    assertThat(Invariants.broken(database)).isEmpty();
  }

  @Test
  void a_message_in_one_state_with_its_tally_is_all_right() {
    database.execute(MESSAGE + ";" + LEASE + ";" + CONSUMER);
    database.execute("INSERT INTO trunkline.tally (queue_id, sent, in_flight) VALUES (1, 1, 1)");

    assertThat(Invariants.broken(database)).isEmpty();
  }
}
