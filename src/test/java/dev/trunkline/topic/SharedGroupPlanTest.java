package dev.trunkline.topic;

import dev.trunkline.support.Plans;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SmallestIndex;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * The plans of what shared groups run all the time, as a session keeps them, whatever the size and
 * the statistics of the tables.
 */
@PostgresTest
class SharedGroupPlanTest {
  private static final String HOT_TABLES =
      "(shared_lease|shared_waiting|segment|group_commit|member_heartbeat)\\b";
  private static final Pattern END_TO_END =
      Pattern.compile("(Seq Scan|Bitmap Heap Scan) on " + HOT_TABLES);

  /** An index that is read from its beginning to its end: no condition follows. */
  private static final Pattern WHOLE_INDEX =
      Pattern.compile(
          "Index (Only )?Scan (Backward )?using \\w+ on " + HOT_TABLES + ".*\\n(?! *Index Cond:)");

  private static final List<String> TABLES =
      List.of(
          "shared_lease",
          "shared_waiting",
          "segment",
          "group_commit",
          "group_member",
          "group_partition");

  /** A statement, and what its plan is made of. */
  private record Hot(String name, Class<?> store, String constant, String... parts) {}

  private static final String CURSOR = "Scan Backward using group_commit_pkey on group_commit";
  private static final String LOG_END = "Scan Backward using segment_pkey on segment";
  private static final String LEASE = "using shared_lease_pkey on shared_lease";
  private static final String DUE = "using shared_waiting_due_idx on shared_waiting";
  private static final String EXPIRY = "using shared_lease_expiry_idx on shared_lease";

  private static final List<Hot> HOT =
      List.of(
          new Hot("lock", SharedClaimStore.class, "CLAIM:1", CURSOR, LOG_END, "LockRows"),
          new Hot(
              "claim",
              SharedClaimStore.class,
              "CLAIM:2",
              CURSOR,
              LOG_END,
              "Index Scan using segment_pkey on segment"),
          new Hot("claim_due", SharedClaimStore.class, "CLAIM_DUE", DUE, "Tid Scan"),
          new Hot("next_due", SharedClaimStore.class, "NEXT_DUE", DUE),
          new Hot("ack_all", SharedSettleStore.class, "ACK_ALL", LEASE),
          new Hot("ack_some", SharedSettleStore.class, "ACK_SOME", LEASE),
          new Hot("take", SharedSettleStore.class, "TAKE", LEASE),
          new Hot("extend", SharedSettleStore.class, "EXTEND", LEASE),
          new Hot("expired", SharedReapStore.class, "EXPIRED", EXPIRY),
          new Hot("held_by", SharedReapStore.class, "HELD_BY", "using shared_lease_member_idx"),
          new Hot("remove", SharedReapStore.class, "REMOVE", "using shared_lease_member_idx"),
          new Hot("take_back", SharedReapStore.class, "TAKE_BACK", LEASE),
          new Hot("apart", SharedFenceStore.class, "APART", LEASE),
          new Hot("hold", SharedFenceStore.class, "HOLD", LEASE),
          new Hot("ack_fenced", SharedFenceStore.class, "ACK", LEASE),
          new Hot("probe", SharedFenceStore.class, "PROBE", LEASE),
          new Hot("look", SharedPulseStore.class, "LOOK", DUE, EXPIRY),
          new Hot("prune", SharedGroupStore.class, "PRUNE_CURSORS", CURSOR));

  private final Map<String, String> values = new HashMap<>();
  private TestDatabase database;

  @BeforeEach
  void values_for_all() {
    values.putAll(
        Map.of(
            "topicId", "1",
            "groupId", "1",
            "memberId", "1",
            "first", "1",
            "maxSegments", "64",
            "maxRecords", "100",
            "maxBytes", "10000000",
            "visibilityTimeoutMs", "30000",
            "everything", "true",
            "nowMs", "-1"));
    values.putAll(
        Map.of(
            "leaseId", "1",
            "leaseIds", "'{1,2,3}'",
            "recordIds", "'{1,2,3}'",
            "counts", "'{1,1,1}'",
            "members", "'{1,2}'",
            "limit", "100",
            "orphaned", "false",
            "partitions", "'{0,1}'",
            "fromIds", "'{1,1}'"));
    values.put("firstIds", "'{1,2,3}'");
    values.put("lastIds", "'{1,2,3}'");
    values.put("recordId", "1");
    values.put("idleMs", "30000");
  }

  @AfterEach
  void nothing_is_left() {
    database.truncateAll();
  }

  @Test
  void no_hot_statement_reads_a_table_from_end_to_end_whatever_its_size_and_its_statistics()
      throws SQLException {
    SoftAssertions all = new SoftAssertions();
    try (Plans old = prepared()) {
      check(all, "empty", old);
      analyze();
      check(all, "empty, analysed", old);
      grow(50_000);
      check(all, "grown, statistics of nothing", old);
      analyze();
      check(all, "grown, analysed", old);
      all.assertThat(old.buffers("claim", values)).as("pages of a claim").isBetween(3L, 400L);
      all.assertThat(old.buffers("lock", values)).as("pages of a lock").isBetween(3L, 200L);
    }
    all.assertAll();
  }

  /** What shared groups have in hand is read whole: all of it counts. */
  @Test
  void the_lag_of_all_groups_is_one_step_into_the_commits_and_the_log_for_each_partition()
      throws SQLException {
    SoftAssertions all = new SoftAssertions();
    try (Plans old = new Plans(database.connect())) {
      old.prepare("lags", Plans.sql(LagStore.class, "LAG"));
      values.put("groupId", "-1");
      old.of("lags", values);
      grow(50_000);
      for (int round = 0; round < 2; round++) {
        try (Plans fresh = new Plans(database.connect())) {
          fresh.prepare("lags", Plans.sql(LagStore.class, "LAG"));
          for (Plans plans : List.of(old, fresh)) {
            all.assertThat(plans.of("lags", values))
                .containsPattern(CURSOR)
                .containsPattern(LOG_END)
                .containsPattern("Index Scan using segment_pkey on segment")
                .doesNotContainPattern("(Seq Scan|Bitmap Heap Scan) on (segment|group_commit)");
          }
        }
        analyze();
      }
      all.assertThat(old.buffers("lags", values)).as("pages").isLessThan(2_000);
    }
    all.assertAll();
  }

  /** A plan is made where there is next to nothing, so that all indexes look alike, and kept. */
  @Test
  void no_index_is_taken_for_another_because_it_is_smaller() throws SQLException {
    SoftAssertions all = new SoftAssertions();
    SmallestIndex.each(
        database,
        TABLES,
        () -> {
          grow(1_000);
          TABLES.forEach(table -> database.execute("DELETE FROM trunkline." + table));
          database.execute("DELETE FROM trunkline.topic");
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

  private Plans prepared() throws SQLException {
    Connection connection = database.connect();
    try (Statement statement = connection.createStatement()) {
      // What the first statement of a claim leaves for the second.
      statement.execute("SET trunkline.partition = '0'");
    }
    Plans plans = new Plans(connection);
    for (Hot hot : HOT) {
      String[] constant = hot.constant().split(":");
      String sql = Plans.sql(hot.store(), constant[0]);
      plans.prepare(
          hot.name(), constant.length == 1 ? sql : sql.split(";\n")[Integer.parseInt(constant[1])]);
    }
    return plans;
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

  /** Segments in each of two partitions, and the rest in proportion. */
  private void grow(int segments) {
    database.execute(
        """
        INSERT INTO trunkline.topic (name, partitions, max_payload_bytes, slow_groups)
        VALUES ('plans', 2, 1000, 'HOLD');
        INSERT INTO trunkline.consumer_group (
          topic_id, name, kind, session_timeout, out_of_range, failure_policy, retry_initial_delay, retry_max_delay,
          retry_multiplier, retry_jitter, visibility_timeout)
        SELECT id, 'plans', 'SHARED', interval '1 hour', 'FAIL', 'SKIP', '1 s', '1 s', 2, 'FULL', '30 s'
        FROM trunkline.topic;
        INSERT INTO trunkline.group_member (group_id, host, pid, session_timeout)
        SELECT id, 'here', 1, interval '1 hour' FROM trunkline.consumer_group;
        INSERT INTO trunkline.topic_partition (topic_id, partition)
        SELECT id, n FROM trunkline.topic, generate_series(0, 1) n;
        INSERT INTO trunkline.group_partition (group_id, partition)
        SELECT id, n FROM trunkline.consumer_group, generate_series(0, 1) n;
        INSERT INTO trunkline.segment (topic_id, partition, base_offset, appended_at, bytes, chunk, ids)
        SELECT t.id, p, n * 10, now(), 1000, 0, ARRAY(SELECT n * 10 + i FROM generate_series(1, 10) i)
        FROM trunkline.topic t, generate_series(0, 1) p, generate_series(1, %1$d) n;
        INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
        SELECT g.id, p, n * 10, 0
        FROM trunkline.consumer_group g, generate_series(0, 1) p, generate_series(1, %1$d) n;
        INSERT INTO trunkline.shared_lease (member_id, visible_at, group_id, partition, offsets, ids)
        SELECT m.id, now() + interval '1 hour' + n * interval '1 ms', m.group_id, 0, ARRAY[n], ARRAY[n + 1]
        FROM trunkline.group_member m, generate_series(1, %1$d / 2) n;
        INSERT INTO trunkline.shared_waiting (due_at, group_id, partition, "offset", record_id, deliveries, acquired)
        SELECT now() + interval '1 hour' + n * interval '1 ms', id, 0, n, n + 1, 1, 1
        FROM trunkline.consumer_group, generate_series(%1$d / 2 + 1, %1$d) n
        """
            .formatted(segments));
    for (String column :
        List.of("topicId topic", "groupId consumer_group", "memberId group_member")) {
      String[] parts = column.split(" ");
      values.put(parts[0], database.text("SELECT max(id) FROM trunkline." + parts[1]));
    }
  }

  private void analyze() {
    database.execute(
        "ANALYZE trunkline.shared_lease, trunkline.shared_waiting, trunkline.segment, trunkline.group_commit,"
            + " trunkline.group_partition, trunkline.group_member, trunkline.member_heartbeat");
  }
}
