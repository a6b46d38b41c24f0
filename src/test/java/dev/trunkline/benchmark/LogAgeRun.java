package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.topic.Retention;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import java.util.ArrayList;
import java.util.List;

/**
 * What it costs to read a page at the end of a log, when the log is young and when it is old.
 *
 * <p>The records are made by SQL, as publishes make them, a chunk per million. Each measurement
 * reads the same number of pages of 100 records of the newest 5,000; young and old take turns, as
 * two topics of one server, so often that what else the machine does hits them alike.
 */
final class LogAgeRun {
  private static final int YOUNG = 10_000;
  private static final int OLD = 10_000_000;
  private static final int CHUNK = 1_000_000;
  private static final int STEP = 100_000;
  private static final int PAGE = 100;
  private static final int NEWEST = 5_000;
  private static final int ROUNDS = 300;
  private static final int PAGES = 40;
  private static final int WARM_UP = 30;

  private final Server server;

  LogAgeRun(Server server) {
    this.server = server;
  }

  Report run() {
    try (Trunkline trunkline = Trunkline.open(server.pool())) {
      TopicConfig config =
          TopicConfig.defaults().withPartitions(1).withRetention(Retention.forever());
      Topic young = trunkline.topic("young", config);
      Topic old = trunkline.topic("old", config);
      fill(young, YOUNG);
      fill(old, OLD);
      server.execute("ANALYZE trunkline.segment");
      List<Double> ofYoung = new ArrayList<>();
      List<Double> ofOld = new ArrayList<>();
      for (int round = 0; round < WARM_UP; round++) {
        read(young, YOUNG, round);
        read(old, OLD, round);
      }
      for (int round = 0; round < ROUNDS; round++) {
        ofYoung.add(read(young, YOUNG, round));
        ofOld.add(read(old, OLD, round));
      }
      double youngMicros = median(ofYoung);
      double oldMicros = median(ofOld);
      Report report = new Report("topic-age");
      report.line(
          "pages of %d records of the newest %,d, %d rounds of %d pages, in turn",
          PAGE, NEWEST, ROUNDS, PAGES);
      report.line("");
      report.row("retained records", "us/page");
      report.row("%,d".formatted(YOUNG), youngMicros);
      report.row("%,d".formatted(OLD), oldMicros);
      return report
          .number("youngMicros", youngMicros, 1)
          .number("oldMicros", oldMicros, 1)
          .number("ratio", oldMicros / youngMicros, 3);
    }
  }

  /** As many records as a publisher would have made in many transactions of 100,000. */
  private void fill(Topic topic, int records) {
    for (int done = 0; done < records; done += Math.min(STEP, records)) {
      int count = Math.min(STEP, records - done);
      server.execute(
          """
          INSERT INTO trunkline.record (xid, topic_id, partition, id, payload)
          SELECT
            pg_current_xact_id(), t.id, 0, nextval(t.id_sequence),
            substr(decode(repeat(md5(g::text), 13), 'hex'), 1, 200)
          FROM trunkline.topic t
          CROSS JOIN generate_series(1, %d) AS g
          WHERE t.name = '%s'
          """
              .formatted(count, topic.name()));
      topic.endOffsets();
      if ((done + count) % CHUNK == 0) {
        server.execute(
            """
            SELECT trunkline.add_chunk(t.id), trunkline.close_chunk(t.id, c.number)
            FROM trunkline.topic t
            JOIN trunkline.chunk c ON c.topic_id = t.id AND c.opened_at IS NOT NULL AND c.closed_at IS NULL
            WHERE t.name = '%s'
            """
                .formatted(topic.name()));
      }
    }
  }

  /** Microseconds per page. */
  private static double read(Topic topic, int records, int round) {
    long begin = System.nanoTime();
    for (int page = 0; page < PAGES; page++) {
      long from = records - NEWEST + (round * PAGES + page) * 37L % (NEWEST - PAGE);
      int read = topic.read(0, from, PAGE).size();
      if (read != PAGE) {
        throw new IllegalStateException("page of %d at %d".formatted(read, from));
      }
    }
    return (System.nanoTime() - begin) / 1e3 / PAGES;
  }

  private static double median(List<Double> values) {
    return values.stream().sorted().toList().get(values.size() / 2);
  }
}
