package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.deadletter.DeadLetterStore;
import dev.trunkline.support.Plans;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SmallestIndex;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * The plans of what runs all the time. Statistics of tables that turn over every second are always
 * wrong, and a plan that a session keeps was made when the tables were of another size: neither may
 * matter.
 */
@PostgresTest
class HotStatementsPlanTest {
  private static final Pattern END_TO_END =
      Pattern.compile(
          "(Seq Scan|Bitmap Heap Scan) on"
              + " (message|ready|lease|scheduled|tally|heartbeat|dedup|producer_progress)\\b");

  /** An index that is read from its beginning to its end: no condition follows. */
  private static final Pattern WHOLE_INDEX =
      Pattern.compile(
          "Index (Only )?Scan (Backward )?using \\w+ on"
              + " (message|ready|lease|scheduled|heartbeat|dedup|producer_progress)\\b.*\\n"
              + "(?! *Index Cond:)");

  /** A statement, and what its plan is made of. */
  private record Hot(String name, Class<?> store, String constant, String... parts) {}

  private static final String CLAIM_INDEX =
      "Index Scan using ready_claim_idx on ready\\n"
          + " *Index Cond: \\(\\(queue_id = .*priority = .*seq >= .*seq < ";
  private static final String MESSAGE_INDEX = "Index Scan using message_pkey on message";
  private static final String LEASE_INDEX = "Index Scan using lease_pkey on lease";
  private static final String EXPIRY_INDEX = "Index (Only )?Scan using lease_expiry_idx on lease";
  private static final String DUE_INDEX = "Index (Only )?Scan using scheduled_due_idx on scheduled";

  private static final List<Hot> HOT =
      List.of(
          new Hot(
              "claim", ClaimStore.class, "CLAIM", CLAIM_INDEX, "Tid Scan on ready", MESSAGE_INDEX),
          new Hot(
              "claim_and_delete",
              AtMostOnceStore.class,
              "CLAIM_AND_DELETE",
              CLAIM_INDEX,
              "Tid Scan on ready",
              MESSAGE_INDEX),
          new Hot("send", PublishStore.class, "SEND"),
          new Hot("ack_all", SettleStore.class, "ACK_ALL", LEASE_INDEX, MESSAGE_INDEX),
          new Hot("ack_some", SettleStore.class, "ACK_SOME", LEASE_INDEX, MESSAGE_INDEX),
          new Hot("take", SettleStore.class, "TAKE", LEASE_INDEX),
          new Hot("put_back", SettleStore.class, "RETURN", MESSAGE_INDEX),
          new Hot("extend", SettleStore.class, "EXTEND", LEASE_INDEX),
          new Hot("apart", FenceStore.class, "APART", LEASE_INDEX),
          new Hot("hold", FenceStore.class, "HOLD", LEASE_INDEX),
          new Hot("ack_fenced", FenceStore.class, "ACK", LEASE_INDEX, MESSAGE_INDEX),
          new Hot("probe", FenceStore.class, "PROBE", LEASE_INDEX),
          new Hot("expired", ReapStore.class, "EXPIRED", EXPIRY_INDEX),
          new Hot("orphaned", ReapStore.class, "ORPHANED", "using lease_consumer_idx on lease"),
          new Hot("take_back", ReapStore.class, "TAKE_BACK", LEASE_INDEX),
          new Hot("promote", ScheduleStore.class, "PROMOTE", DUE_INDEX, "Tid Scan on scheduled"),
          new Hot("next_due", ScheduleStore.class, "NEXT_DUE", DUE_INDEX),
          new Hot("fold", TallyStore.class, "FOLD", "Index Scan using tally_pkey on tally"),
          new Hot(
              "stats",
              TallyStore.class,
              "STATS",
              "using ready_claim_idx on ready",
              "using tally_pkey on tally",
              MESSAGE_INDEX),
          new Hot(
              "look",
              PulseStore.class,
              "LOOK",
              "using ready_claim_idx on ready",
              DUE_INDEX,
              EXPIRY_INDEX,
              "Index Only Scan Backward using heartbeat_pkey on heartbeat"),
          new Hot("depth", DepthStore.class, "DEPTH", "Index Scan using tally_pkey on tally"),
          new Hot(
              "ask",
              FlowStore.class,
              "ASK",
              "Backward using rate_mark_pkey on rate_mark",
              "Backward using activation_pkey on activation",
              "Index Scan using tally_pkey on tally"),
          new Hot("took", FlowStore.class, "TOOK", "Backward using rate_mark_pkey on rate_mark"),
          new Hot("mark", AgeStore.class, "MARK", "Backward using age_mark_pkey on age_mark"),
          new Hot(
              "election",
              ElectionStore.class,
              "LOOK",
              "using candidate_queue_idx on candidate",
              "Backward using activation_pkey on activation"),
          new Hot("prune_inbox", inboxStore(), "PRUNE", "using inbox_forget_idx on inbox"),
          new Hot(
              "store_by_rules",
              RuledSendStore.class,
              "STORE_RUNS",
              "Index (Only )?Scan using dedup_pkey on dedup"),
          new Hot("expire", ExpiryStore.class, "EXPIRE", MESSAGE_INDEX),
          new Hot(
              "sweep_ready",
              ExpiryStore.class,
              "SWEEP_READY",
              "using ready_expiry_idx on ready",
              "Tid Scan on ready",
              MESSAGE_INDEX),
          new Hot(
              "sweep_scheduled",
              ExpiryStore.class,
              "SWEEP_SCHEDULED",
              "using scheduled_expiry_idx on scheduled",
              "Tid Scan on scheduled",
              MESSAGE_INDEX),
          new Hot(
              "from_ready",
              RecallStore.class,
              "FROM_READY",
              "Index Scan Backward using ready_claim_idx on ready",
              "Tid Scan on ready"),
          new Hot(
              "standing",
              ProducerStore.class,
              "STANDING",
              "Index Only Scan Backward using producer_progress_pkey on producer_progress"),
          new Hot(
              "prune_duplicates",
              SendPruningStore.class,
              "DUPLICATES",
              "using dedup_expiry_idx on dedup"),
          new Hot(
              "prune_progress",
              SendPruningStore.class,
              "PROGRESS",
              "using producer_progress_age_idx on producer_progress"),
          new Hot("bury", DeadLetterStore.class, "BURY", MESSAGE_INDEX));

  private static Class<?> inboxStore() {
    try {
      return Class.forName("dev.trunkline.inbox.InboxStore");
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(e);
    }
  }

  private TestDatabase database;
  private Backlog backlog;
  private final Map<String, String> values = new HashMap<>();

  @BeforeEach
  void statistics_change_only_when_the_test_wants_it() {
    autovacuum("off");
    backlog = Backlog.of(database, "plans");
    values.put("queueId", String.valueOf(backlog.queueId()));
    values.put("consumerId", "1");
    values.put("visibilityTimeoutMs", "30000");
    values.put("maxMessages", "100");
    values.put("maxRuns", "100");
    values.put("maxBytes", "10000000");
    values.put("priorities", "'{9,5,0}'");
    values.put("froms", "'{0,0,0}'");
    values.put("tos", "'{9000000000,9000000000,9000000000}'");
    values.put("queueIds", "'{%1$d,%1$d,%1$d}'".formatted(backlog.queueId()));
    for (String column : List.of("keys", "types", "contentTypes", "headers")) {
      values.put(column, "'{}'");
    }
    values.put("hintedIds", "'{%d}'".formatted(backlog.queueId()));
    values.put("payloads", "'{a,b}'");
    values.put("runs", "'{0,0}'");
    values.put("tallyFrom", "0");
    values.put("taken", "10");
    values.put("everyMs", "1000");
    values.put("levels", "10");
    values.put("candidateId", "1");
    values.put("leaseId", "1");
    values.put("leaseIds", "'{1,2,3}'");
    values.put("counts", "'{1,1,1}'");
    values.put("messageIds", "'{1,2,3}'");
    values.put("ids", "'{1,2}'");
    values.put("deliveries", "'{1,1}'");
    values.put("acquired", "'{1,1}'");
    values.put("delaysMs", "'{0,1000}'");
    values.put("reasons", "'{REJECTED,REJECTED}'");
    for (String column : List.of("details", "errorClasses", "errorMessages", "errorStacks")) {
      values.put(column, "'{}'");
    }
    values.put("everything", "true");
    values.put("certain", "false");
    values.put("beat", "true");
    values.put("nowMs", "-1");
    values.put("limit", "1000");
    values.put("idleMs", "30000");
    values.put("messageId", "1");
    values.put("orphaned", "false");
    values.put("fromMs", "0");
    values.put("foldFrom", "0");
    values.put("tallyFrom", "0");
    for (String column : List.of("scopes", "dedupIds", "timesToLiveMs", "dueAtsMs")) {
      values.put(column, "'{}'");
    }
    values.put("id", "1");
    values.put("upTo", "1");
    values.put("cancel", "true");
    values.put("delayMs", "0");
    values.put("dueAtMs", "-1");
    values.put("producerId", "1");
  }

  @AfterEach
  void nothing_is_left() {
    database.truncateAll();
    autovacuum("on");
  }

  @Test
  void no_hot_statement_reads_a_table_from_end_to_end_whatever_its_size_and_its_statistics()
      throws SQLException {
    SoftAssertions all = new SoftAssertions();
    try (Plans old = prepared()) {
      check(all, "empty, never analysed", old);
      analyze();
      check(all, "empty, analysed", old);
      grow(100_000);
      check(all, "100k, statistics of nothing", old);
      analyze();
      check(all, "100k, analysed", old);
      long first = grow(900_000);
      check(all, "1M, statistics of 100k", old);
      analyze();
      check(all, "1M, analysed", old);
      claim_of_a_hundred_reads_few_pages(all, first);
      database.execute("DELETE FROM trunkline.ready; DELETE FROM trunkline.scheduled");
      database.execute("VACUUM trunkline.ready, trunkline.scheduled");
      check(all, "drained, statistics of 1M", old);
    }
    all.assertAll();
  }

  /** A plan is made where there is next to nothing, so that all indexes look alike, and kept. */
  @Test
  void no_index_is_taken_for_another_because_it_is_smaller() throws SQLException {
    List<String> tables = List.of("ready", "scheduled", "lease");
    SoftAssertions all = new SoftAssertions();
    SmallestIndex.each(
        database,
        tables,
        () -> {
          backlog.ready(600);
          backlog.scheduled(600);
          backlog.leases(600);
          tables.forEach(table -> database.execute("DELETE FROM trunkline." + table));
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

  private void claim_of_a_hundred_reads_few_pages(SoftAssertions all, long first)
      throws SQLException {
    Map<String, String> claim = new HashMap<>(values);
    claim.put("consumerId", database.text("SELECT min(id) FROM trunkline.consumer"));
    claim.put("priorities", "'{5}'");
    claim.put("tos", "'{9000000000}'");
    try (Plans plans = prepared()) {
      claim.put("froms", "'{0}'");
      all.assertThat(plans.buffers("claim", claim)).as("pages of a claim").isBetween(100L, 2_500L);
      claim.put("froms", "'{%d}'".formatted(first + 300_000));
      all.assertThat(plans.buffers("claim", claim))
          .as("pages of a claim from the middle")
          .isBetween(100L, 2_500L);
    }
  }

  /** By a session that has kept its plans from the beginning, and by one that makes them now. */
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
  void a_plan_that_reads_a_table_from_end_to_end_would_be_noticed() throws SQLException {
    try (Plans plans = prepared()) {
      plans.prepare("naive", "SELECT sum(bytes) FROM trunkline.ready WHERE :limit > 0");
      assertThat(plans.of("naive", values)).containsPattern(END_TO_END);
      plans.prepare("ordered", "SELECT id FROM trunkline.message WHERE :limit > 0 ORDER BY id");
      assertThat(plans.of("ordered", values)).containsPattern(WHOLE_INDEX);
    }
  }

  private Plans prepared() throws SQLException {
    Connection connection = database.connect();
    Plans plans = new Plans(connection);
    for (Hot hot : HOT) {
      String prelude = Plans.prelude(hot.name().equals("send") ? "DURABLE" : "RELAXED");
      String sql = Plans.sql(hot.store(), hot.constant());
      // Of two statements in one text the second does the work.
      plans.prepare(hot.name(), sql.substring(sql.indexOf(";\n\n") + 1), prelude);
    }
    return plans;
  }

  private long grow(int count) {
    long first = backlog.ready(count);
    backlog.scheduled(count / 20);
    backlog.leases(count / 500);
    backlog.unfolded(count / 20);
    return first;
  }

  private void analyze() {
    database.execute("VACUUM ANALYZE");
  }

  private void autovacuum(String value) {
    for (String table : List.of("message", "ready", "scheduled", "lease", "tally")) {
      database.execute(
          "ALTER TABLE trunkline.%s SET (autovacuum_enabled = %s)".formatted(table, value));
    }
  }
}
