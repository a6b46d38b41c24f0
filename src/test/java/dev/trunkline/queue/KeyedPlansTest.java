package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.support.Plans;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SmallestIndex;
import dev.trunkline.support.TestDatabase;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The plans of the statements on queues by key, with any size and any statistics. */
@PostgresTest
class KeyedPlansTest {
  private static final Pattern END_TO_END =
      Pattern.compile(
          "(Seq Scan|Bitmap Heap Scan) on (message|line|turn|turn_later|open_key|key_mark|lease)\\b");

  private static final Pattern WHOLE_INDEX =
      Pattern.compile(
          "Index (Only )?Scan (Backward )?using \\w+ on"
              + " (message|line|turn|turn_later|open_key|key_mark|lease)\\b.*\\n"
              + "(?! *Index Cond:)");

  private record Hot(String name, Class<?> store, String constant, String... parts) {}

  private static final String TURNS =
      "Index Scan using turn_claim_idx on turn\\n *Index Cond: \\(\\(queue_id = .*seq >= .*seq < ";
  private static final String LINE =
      "Index Scan using line_pkey on line\\n *Index Cond: \\(\\(queue_id = .*key = .*id >= ";
  private static final String OPEN = "using open_key_pkey on open_key";
  private static final String MARKS = "using key_mark_pkey on key_mark";

  private static final List<Hot> HOT =
      List.of(
          new Hot("claim_fifo", FifoClaimStore.class, "CLAIM", TURNS, LINE, OPEN, "message_pkey"),
          new Hot("claim_fair", FairClaimStore.class, "CLAIM", TURNS, LINE, OPEN, "message_pkey"),
          new Hot("send_keyed", KeyedPublishStore.class, "SEND", MARKS),
          new Hot("ack_all_keyed", KeyedSettleStore.class, "ACK_ALL", "lease_pkey"),
          new Hot("ack_some_keyed", KeyedSettleStore.class, "ACK_SOME", "lease_pkey"),
          new Hot("take_keyed", KeyedSettleStore.class, "TAKE", "lease_pkey"),
          new Hot("promote_turns", ScheduleStore.class, "PROMOTE_TURNS", "turn_later_due_idx"),
          new Hot("return_fifo", KeyedSettleStore.class, "RETURN_FIFO", "message_pkey"));

  private TestDatabase database;
  private final Map<String, String> values = new HashMap<>();

  @BeforeEach
  void values_of_the_parameters() {
    values.put("queueId", "1");
    values.put("consumerId", "1");
    values.put("visibilityTimeoutMs", "30000");
    values.put("maxMessages", "100");
    values.put("maxTurns", "100");
    values.put("maxPerKey", "32");
    values.put("farAfter", "512");
    values.put("maxBytes", "10000000");
    values.put("everything", "true");
    values.put("priorities", "'{0}'");
    values.put("froms", "'{0}'");
    values.put("tos", "'{9000000000}'");
    values.put("payloads", "'{a,b}'");
    values.put("keys", "'{k1,k2}'");
    for (String column : List.of("types", "contentTypes", "headers")) {
      values.put(column, "'{}'");
    }
    values.put("leaseId", "1");
    values.put("leaseIds", "'{1,2}'");
    values.put("counts", "'{1,1}'");
    values.put("messageIds", "'{1,2}'");
    values.put("ids", "'{1,2}'");
    values.put("deliveries", "'{1,1}'");
    values.put("acquired", "'{1,1}'");
    values.put("delaysMs", "'{0,1000}'");
    values.put("nowMs", "-1");
    values.put("limit", "1000");
  }

  @AfterEach
  void nothing_is_left() {
    database.truncateAll();
  }

  @Test
  void no_statement_reads_a_table_from_end_to_end_whatever_its_size_and_its_statistics()
      throws SQLException {
    SoftAssertions all = new SoftAssertions();
    try (Plans old = prepared()) {
      check(all, "empty", old);
      grow(100_000);
      check(all, "grown, not analysed", old);
      database.execute("VACUUM ANALYZE");
      check(all, "grown, analysed", old);
      claim_of_a_hundred_reads_few_pages(all);
      database.execute("TRUNCATE trunkline.line, trunkline.turn, trunkline.open_key");
      check(all, "drained", old);
    }
    all.assertAll();
  }

  /** Messages of one key, and one each of a fifth as many others. */
  private void grow(int hot) {
    database.execute(
        """
        INSERT INTO trunkline.queue (
          name, visibility_timeout, retry_initial_delay, retry_max_delay, retry_multiplier, retry_jitter,
          max_payload_bytes, ordering, failure_policy)
        VALUES ('plans', '30 s', '1 s', '1 s', 1, 'NONE', 1000, 'FIFO', 'BLOCK');
        INSERT INTO trunkline.consumer (host, pid, heartbeat_timeout) VALUES ('h', 1, '1 h');
        INSERT INTO trunkline.message (id, queue_id, priority, key, payload)
        SELECT n, (SELECT id FROM trunkline.queue), 0, CASE WHEN n <= %1$d THEN 'hot' ELSE 'k' || n END, 'x'
        FROM generate_series(1, %1$d * 6 / 5) n;
        INSERT INTO trunkline.line (id, queue_id, bytes, key)
        SELECT id, queue_id, 1, key FROM trunkline.message;
        INSERT INTO trunkline.open_key (queue_id, key)
        SELECT DISTINCT queue_id, key FROM trunkline.line;
        INSERT INTO trunkline.key_mark (first_id, queue_id, key)
        SELECT min(id), queue_id, key FROM trunkline.line GROUP BY queue_id, key;
        INSERT INTO trunkline.turn (seq, from_id, queue_id, key)
        SELECT min(id), 0, queue_id, key FROM trunkline.line GROUP BY queue_id, key;
        SELECT setval('trunkline.message_id_seq', 200000);
        """
            .formatted(hot));
    values.put("queueId", String.valueOf(database.number("SELECT id FROM trunkline.queue")));
    values.put("consumerId", String.valueOf(database.number("SELECT id FROM trunkline.consumer")));
  }

  private void claim_of_a_hundred_reads_few_pages(SoftAssertions all) throws SQLException {
    try (Plans plans = prepared()) {
      all.assertThat(plans.buffers("claim_fifo", values))
          .as("pages of a claim from a hundred keys, one of them hot")
          .isBetween(100L, 6_000L);
    }
  }

  /** A plan is made where there is next to nothing, so that all indexes look alike, and kept. */
  @Test
  void no_index_is_taken_for_another_because_it_is_smaller() throws SQLException {
    List<String> tables = List.of("message", "line", "turn", "turn_later", "open_key", "key_mark");
    SoftAssertions all = new SoftAssertions();
    SmallestIndex.each(
        database,
        tables,
        () -> {
          grow(1_000);
          tables.forEach(table -> database.execute("DELETE FROM trunkline." + table));
          database.execute("DELETE FROM trunkline.consumer");
          database.execute("DELETE FROM trunkline.queue");
        },
        state -> {
          try (Plans plans = prepared()) {
            for (Hot hot : HOT) {
              check(all, state, hot, plans.of(hot.name(), values));
            }
          }
        });
    all.assertAll();
  }

  private void check(SoftAssertions all, String state, Plans old) throws SQLException {
    try (Plans fresh = prepared()) {
      for (Hot hot : HOT) {
        check(all, state + ", kept plan", hot, old.of(hot.name(), values));
        check(all, state + ", new plan", hot, fresh.of(hot.name(), values));
      }
    }
  }

  private static void check(SoftAssertions all, String state, Hot hot, String plan) {
    String description = state + ": " + hot.name();
    all.assertThat(plan).as(description).doesNotContainPattern(END_TO_END);
    all.assertThat(plan).as(description).doesNotContainPattern(WHOLE_INDEX);
    for (String part : hot.parts()) {
      all.assertThat(plan).as(description).containsPattern(part);
    }
  }

  @Test
  void a_plan_that_reads_a_line_from_end_to_end_would_be_noticed() throws SQLException {
    try (Plans plans = prepared()) {
      plans.prepare("naive", "SELECT sum(bytes) FROM trunkline.line WHERE :limit > 0");
      assertThat(plans.of("naive", values)).containsPattern(END_TO_END);
    }
  }

  private Plans prepared() throws SQLException {
    Plans plans = new Plans(database.connect());
    for (Hot hot : HOT) {
      plans.prepare(hot.name(), Plans.sql(hot.store(), hot.constant()));
    }
    return plans;
  }
}
