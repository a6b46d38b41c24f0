package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.internal.db.Database;
import dev.trunkline.message.Message;
import dev.trunkline.support.Plans;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SmallestIndex;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The plans of what topics do all the time: whatever the statistics and the age of the log, they
 * touch the end of it and nothing else.
 */
@PostgresTest
class TopicPlanTest {
  private static final int CHUNKS = 6;
  private static final int CHUNKS_IN_TORTURE = 20;
  private static final int YOUNG = 4_000;
  private static final int OLD = 40_000;
  private static final int OLD_IN_TORTURE = 1_000_000;

  private static final String[] ALL = {
    "publish", "sequence", "from_offset", "read", "read_chunk", "read_if_still", "for_time"
  };

  /** While the transaction is open; so many that a step that walked them would show it. */
  private static final int STEPS = 100;

  private static final Pattern END_TO_END =
      Pattern.compile("(Seq Scan|Bitmap Heap Scan) on (record|segment|sequencing|topic_partition)");

  private static final Pattern WHOLE_INDEX =
      Pattern.compile(
          "Index (Only )?Scan (Backward )?using \\w+ on (record|segment|sequencing|topic_partition).*\\n"
              + "(?! *Index Cond:)");

  private static final Pattern RECORDS_BY_ID = Pattern.compile("using record_\\d+_\\d+_id_idx");

  private static final Pattern CHUNK = Pattern.compile("on record_\\d+_(\\d+) ");

  private TestDatabase database;
  private Trunkline trunkline;
  private Topic topic;
  private int topicId;
  private RetainedLog log;

  @BeforeEach
  void open() {
    trunkline =
        Trunkline.open(
            database.dataSource(),
            TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF).withUpkeep(false));
    topic = trunkline.topic("planned", TopicConfig.defaults().withPartitions(2));
    topicId =
        new Database(database.dataSource())
            .run(session -> TopicStore.find(session, "planned"))
            .orElseThrow()
            .id();
    log = new RetainedLog(database, topicId);
    for (String table : new String[] {"segment", "sequencing", "record_" + topicId + "_0"}) {
      database.execute("ALTER TABLE trunkline.%s SET (autovacuum_enabled = off)".formatted(table));
    }
  }

  @AfterEach
  void close() {
    trunkline.close();
    database.truncateAll();
    for (String table : new String[] {"segment", "sequencing"}) {
      database.execute("ALTER TABLE trunkline.%s SET (autovacuum_enabled = on)".formatted(table));
    }
  }

  @Test
  void no_statement_reads_more_of_an_old_log_than_of_a_young_one() throws SQLException {
    compare(OLD, CHUNKS);
  }

  @Test
  @Tag("torture")
  void no_statement_reads_more_of_a_log_of_a_million() throws SQLException {
    compare(OLD_IN_TORTURE, CHUNKS_IN_TORTURE);
  }

  private void compare(int old, int chunks) throws SQLException {
    SoftAssertions all = new SoftAssertions();
    try (Plans kept = prepared()) {
      check(all, "empty, never analysed", kept);
      analyze();
      check(all, "empty, analysed", kept);
      log.retain(YOUNG);
      check(all, "young, statistics of nothing", kept);
      Map<String, Long> young = pages(kept);
      while (log.chunk() < chunks - 1) {
        log.nextChunk();
        log.retain((old - YOUNG) / (chunks - 1) / 200 * 200);
      }
      check(all, "old, statistics of nothing", kept);
      Map<String, Long> stale = pages(kept);
      analyze();
      check(all, "old, analysed", kept);
      Map<String, Long> fresh = pages(kept);
      for (String name : young.keySet()) {
        // A level more of an index here and there.
        long bound = young.getOrDefault(name, 0L) * 5 / 4 + 20;
        all.assertThat(stale.get(name)).as("pages of " + name + ", stale").isLessThan(bound);
        all.assertThat(fresh.get(name)).as("pages of " + name + ", fresh").isLessThan(bound);
      }
    }
    all.assertAll();
  }

  /** A plan is made where there is next to nothing, so that all indexes look alike, and kept. */
  @Test
  void no_index_is_taken_for_another_because_it_is_smaller() throws SQLException {
    SoftAssertions all = new SoftAssertions();
    SmallestIndex.each(
        database,
        List.of("record", "segment", "sequencing", "topic_partition"),
        () -> {
          // Segments of one record: an index has to have hundreds of entries to be a level higher.
          topic.publishAll(Collections.nCopies(500, Message.text("m").withKey("k")));
          database.execute(
              """
              INSERT INTO trunkline.segment (topic_id, partition, base_offset, appended_at, bytes, chunk, ids)
              SELECT %d, 0, 1000000 + n, clock_timestamp(), 1, 0, ARRAY[n]
              FROM generate_series(1, 1000) AS n
              """
                  .formatted(topicId));
          database.execute("DELETE FROM trunkline.record");
          database.execute("DELETE FROM trunkline.segment");
        },
        state -> {
          try (Plans plans = prepared()) {
            String sequence = plans.of("sequence", values());
            all.assertThat(sequence)
                .as(state)
                .contains("using record_%d_0_xid_idx on".formatted(topicId))
                .doesNotContain("using record_%d_0_id_idx".formatted(topicId))
                .contains("Scan Backward using segment_pkey on segment newest")
                .contains("Scan Backward using segment_pkey on segment s")
                .contains("Scan Backward using sequencing_pkey on sequencing");
            all.assertThat(plans.of("from_offset", values()))
                .as(state)
                .contains("Scan Backward using segment_pkey on segment newest")
                .contains("Scan Backward using segment_pkey on segment holder")
                .contains("Scan using segment_pkey on segment\n");
            all.assertThat(plans.of("read_if_still", values()))
                .as(state)
                .contains("Scan using segment_pkey on segment\n");
            all.assertThat(plans.of("for_time", values()))
                .as(state)
                .contains("using segment_time_idx on segment s")
                .contains("Scan Backward using segment_pkey on segment newest");
          }
        });
    all.assertAll();
  }

  /** A log is analysed often while it grows: arrays and payloads would be most of the work. */
  @Test
  void what_no_query_looks_for_is_not_analysed() {
    topic.publishAll(Collections.nCopies(20, Message.text("m").withKey("k").withHeader("h", "v")));
    topic.endOffsets();
    analyze();
    assertThat(analysed("record_%d_0".formatted(topicId)))
        .contains("id", "partition", "key")
        .doesNotContain("xid", "headers", "payload", "followers", "batch_bytes");
    assertThat(analysed("segment")).contains("base_offset").doesNotContain("bytes", "ids");
  }

  @Test
  void a_chunk_is_not_vacuumed_because_it_has_grown() {
    for (int chunk = 0; chunk < 2; chunk++) {
      assertThat(
              database.text(
                  "SELECT reloptions::text FROM pg_class WHERE oid = 'trunkline.record_%d_%d'::regclass"
                      .formatted(topicId, chunk)))
          .contains("autovacuum_vacuum_insert_threshold=-1");
    }
  }

  private Set<String> analysed(String table) {
    return Set.of(
        database
            .text(
                "SELECT string_agg(attname, ',') FROM pg_stats WHERE schemaname = 'trunkline' AND tablename = ?",
                table)
            .split(","));
  }

  private void analyze() {
    database.execute(
        """
        ANALYZE trunkline.topic, trunkline.topic_partition, trunkline.record, trunkline.segment,
          trunkline.sequencing
        """);
  }

  /** By a session that has kept its plans from the beginning, and by one that makes them now. */
  private void check(SoftAssertions all, String state, Plans kept) throws SQLException {
    Map<String, String> values = values();
    try (Plans anew = prepared()) {
      for (String name : ALL) {
        for (Plans plans : new Plans[] {kept, anew}) {
          String plan = plans.of(name, values);
          String description = state + ": " + name + "\n" + plan;
          all.assertThat(plan).as(description).doesNotContainPattern(END_TO_END);
          all.assertThat(plan).as(description).doesNotContainPattern(WHOLE_INDEX);
        }
      }
      String current = String.valueOf(log.chunk());
      String ahead = String.valueOf(log.chunk() + 1);
      all.assertThat(chunks(anew.of("read", values))).as(state + ": read").isSubsetOf(current);
      String sequence = anew.of("sequence", values);
      all.assertThat(chunks(sequence)).as(state + ": sequence").isSubsetOf(current, ahead);
      // What is late is found by its transaction, not among all that came since the floor.
      all.assertThat(sequence).as(state + ": sequence").doesNotContainPattern(RECORDS_BY_ID);
      // A process that does not know the floor yet plans for all, and looks at these.
      Map<String, String> unknowing = new HashMap<>(values);
      unknowing.put("floorId", "0");
      all.assertThat(chunks(withoutNeverExecuted(anew.run("sequence", unknowing))))
          .as(state + ": sequence from an unknown floor")
          .isSubsetOf(current, ahead);
      all.assertThat(anew.of("publish", values)).doesNotContainPattern(CHUNK);
      all.assertThat(anew.of("from_offset", values)).contains("segment_pkey");
      all.assertThat(anew.of("for_time", values)).contains("segment_time_idx");
    }
  }

  private static Set<String> chunks(String plan) {
    Set<String> chunks = new TreeSet<>();
    Matcher matcher = CHUNK.matcher(plan);
    while (matcher.find()) {
      chunks.add(matcher.group(1));
    }
    return chunks;
  }

  private static String withoutNeverExecuted(String plan) {
    return plan.replaceAll(".*\\(never executed\\)\\n", "");
  }

  /** Of a poll after a hundred records were published, each twice: the first fills the caches. */
  private Map<String, Long> pages(Plans plans) throws SQLException {
    topic.publishAll(Collections.nCopies(100, Message.text("m").withKey("k")));
    Map<String, Long> pages = new HashMap<>();
    for (String name : new String[] {"sequence", "from_offset", "read", "for_time"}) {
      plans.buffers(name, values());
      pages.put(name, plans.buffers(name, values()));
    }
    topic.endOffsets();
    return pages;
  }

  @Test
  void a_transaction_held_open_makes_no_step_dearer() throws SQLException {
    log.retain(YOUNG);
    try (Connection held = database.connect();
        Plans plans = prepared()) {
      held.setAutoCommit(false);
      topic.publish(held, Message.text("held"));
      long before = stepOfTwenty(plans);
      for (int i = 0; i < STEPS; i++) {
        topic.publishAll(Collections.nCopies(20, Message.text("m")));
        topic.endOffsets();
      }
      assertThat(stepOfTwenty(plans)).isLessThan(before * 5 / 4 + 50);
      held.commit();
    }
    assertThat(topic.endOffsets().values().stream().mapToLong(Long::longValue).sum())
        .isEqualTo(YOUNG + 1 + (STEPS + 2) * 20);
  }

  private long stepOfTwenty(Plans plans) throws SQLException {
    topic.publishAll(Collections.nCopies(20, Message.text("m")));
    plans.buffers("sequence", values());
    long pages = plans.buffers("sequence", values());
    topic.endOffsets();
    return pages;
  }

  private Plans prepared() throws SQLException {
    Plans plans = new Plans(database.connect());
    plans.prepare("publish", Plans.sql(RecordStore.class, "PUBLISH"));
    String[] sequence = Plans.sql(SequenceStore.class, "SEQUENCE").split(";", 2);
    String prelude = sequence[0].replace(":topicId", String.valueOf(topicId)).replace(":lock", "1");
    plans.prepare("sequence", sequence[1], prelude);
    plans.prepare("from_offset", Plans.sql(SegmentStore.class, "FROM_OFFSET"));
    plans.prepare(
        "read", Plans.sql(RecordStore.class, "READ_ALL_CHUNKS"), Plans.prelude("REPLANNED"));
    plans.prepare(
        "read_chunk",
        Plans.sql(RecordStore.class, "READ")
            .formatted("trunkline.record_%d_%d".formatted(topicId, log.chunk())));
    plans.prepare(
        "read_if_still",
        Plans.sql(RecordStore.class, "READ_IF_STILL")
            .formatted("trunkline.record_%d_%d".formatted(topicId, log.chunk())));
    plans.prepare("for_time", Plans.sql(SegmentStore.class, "FOR_TIME"));
    return plans;
  }

  /** Of a reader near the end of the log. */
  private Map<String, String> values() {
    Map<String, String> values = new HashMap<>();
    values.put("topicId", String.valueOf(topicId));
    values.put("partition", "0");
    values.put("payloads", "'{a,b}'");
    values.put("partitions", "'{0,1}'");
    values.put("waiting", "'AT_COMMIT'");
    values.put("noTime", "-1");
    values.put("batchEnds", "'{1,2}'");
    values.put("batchBytes", "'{1,1}'");
    for (String column : new String[] {"keys", "types", "contentTypes", "headers", "sourceAtsUs"}) {
      values.put(column, "'{}'");
    }
    values.put(
        "floorId",
        database.text(
            "SELECT floor_id FROM trunkline.sequencing WHERE topic_id = ? ORDER BY id DESC LIMIT 1",
            topicId));
    values.put("fromOffset", String.valueOf(Math.max(0, log.end() - 100)));
    values.put("beforeOffset", String.valueOf(log.end() + 100));
    long last =
        database.number(
            "SELECT coalesce(pg_sequence_last_value('trunkline.record_%d_id_seq'), 100)"
                .formatted(topicId));
    long first = Math.max((long) log.chunk() << 40, last - 100);
    values.put(
        "ids",
        LongStream.rangeClosed(first, last)
            .mapToObj(String::valueOf)
            .collect(Collectors.joining(",", "'{", "}'")));
    values.put("firstId", String.valueOf(first));
    values.put("lastId", String.valueOf(last));
    values.put("base", String.valueOf(Math.max(0, log.end() - 100)));
    values.put("from", "1");
    values.put("to", "100");
    values.put("timeUs", String.valueOf(System.currentTimeMillis() * 1000));
    return values;
  }
}
