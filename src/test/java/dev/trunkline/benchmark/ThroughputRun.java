package dev.trunkline.benchmark;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * How many messages a second go all the way through, and how many through a bare table.
 *
 * <p>All take turns in slices of a few seconds, so that what else the machine does hits them alike.
 */
final class ThroughputRun {
  /** Long enough for the virtual machine to compile what is hot. */
  private static final Duration WARM_UP = Duration.ofSeconds(20);

  private static final Duration SLICE = Duration.ofSeconds(5);

  private final Server server;
  private final Workload workload;
  private final Duration time;
  private final Report report;

  ThroughputRun(Server server, Workload workload, Duration time) {
    this.server = server;
    this.workload = workload;
    this.time = time;
    this.report = new Report("queue");
  }

  /** Slices of each, in turn. */
  Report run() throws Exception {
    server.vacuumSoon();
    try (Load queue = new Load(server, workload, new QueueContender(server, workload));
        Load bare = new Load(server, workload, new BareContender(server, workload, true));
        Load async = new Load(server, workload, new BareContender(server, workload, false))) {
      warmUp(List.of(queue, bare, async));
      List<Interval> ofQueue = new ArrayList<>();
      List<Interval> ofBare = new ArrayList<>();
      List<Interval> ofAsync = new ArrayList<>();
      int slices = (int) Math.max(2, time.toNanos() / SLICE.toNanos());
      Duration slice = time.dividedBy(slices);
      for (int i = 0; i < slices; i++) {
        ofBare.addAll(bare.run(slice, slice));
        ofQueue.addAll(queue.run(slice, slice));
        ofAsync.addAll(async.run(slice, slice));
      }
      head();
      Interval queued = Interval.sum(ofQueue);
      Interval raw = Interval.sum(ofBare);
      Interval rawAsync = Interval.sum(ofAsync);
      contender(queue.name(), queued);
      contender(bare.name(), raw);
      contender(async.name(), rawAsync);
      report.line("");
      slices(queue.name(), ofQueue);
      slices(bare.name(), ofBare);
      slices(async.name(), ofAsync);
      foot();
      numbers(queued, raw);
      report.number("rawRateAsyncDelete", rawAsync.rate(), 0);
      return report;
    }
  }

  /** Slices of the queue by either guarantee, in turn. */
  Report runAtMostOnce() throws Exception {
    server.vacuumSoon();
    try (Load least = new Load(server, workload, new QueueContender(server, workload));
        Load most = new Load(server, workload, new AtMostOnceContender(server, workload));
        Load bare = new Load(server, workload, new BareContender(server, workload, true))) {
      warmUp(List.of(least, most, bare));
      List<Interval> ofLeast = new ArrayList<>();
      List<Interval> ofMost = new ArrayList<>();
      List<Interval> ofBare = new ArrayList<>();
      int slices = (int) Math.max(2, time.toNanos() / SLICE.toNanos());
      Duration slice = time.dividedBy(slices);
      for (int i = 0; i < slices; i++) {
        ofLeast.addAll(least.run(slice, slice));
        ofMost.addAll(most.run(slice, slice));
        ofBare.addAll(bare.run(slice, slice));
      }
      head();
      Interval atLeastOnce = Interval.sum(ofLeast);
      Interval atMostOnce = Interval.sum(ofMost);
      Interval raw = Interval.sum(ofBare);
      contender(least.name(), atLeastOnce);
      contender(most.name(), atMostOnce);
      contender(bare.name(), raw);
      report.line("");
      slices(least.name(), ofLeast);
      slices(most.name(), ofMost);
      slices(bare.name(), ofBare);
      foot();
      numbers(atLeastOnce, raw);
      report
          .number("atMostOnceRate", atMostOnce.rate(), 0)
          .number("atMostOnceRatio", atMostOnce.rate() / atLeastOnce.rate(), 3)
          .number("atMostOnceWalBytesPerMessage", atMostOnce.walBytesPerMessage(), 0);
      return report;
    }
  }

  /**
   * The queue alone, for the whole time, first as it is and then while an old snapshot is held
   * open.
   */
  Report runHeld() throws Exception {
    try (Load queue = new Load(server, workload, new QueueContender(server, workload));
        Load bare = new Load(server, workload, new BareContender(server, workload, true))) {
      warmUp(List.of(queue, bare));
      List<Interval> ofBare = new ArrayList<>(bare.run(SLICE, SLICE));
      List<Interval> clean = queue.run(time, SLICE);
      List<Interval> held;
      try (Connection holder = server.connection()) {
        hold(holder);
        held = queue.run(time, SLICE);
        holder.rollback();
        holder.setAutoCommit(true);
      }
      // The machine may have changed meanwhile: what was clean before is looked at again after.
      List<Interval> cleanAfter = queue.run(time.dividedBy(2), SLICE);
      ofBare.addAll(bare.run(SLICE, SLICE));
      List<Interval> allClean = new ArrayList<>(clean);
      allClean.addAll(cleanAfter);
      head();
      Interval queued = Interval.sum(allClean);
      Interval queuedHeld = Interval.sum(held);
      Interval raw = Interval.sum(ofBare);
      contender(queue.name(), queued);
      contender(queue.name() + ", snapshot held", queuedHeld);
      contender(bare.name(), raw);
      report.line("");
      slices("clean before", clean);
      slices("snapshot held", held);
      slices("clean after", cleanAfter);
      foot();
      numbers(queued, raw);
      report
          .number("heldRate", queuedHeld.rate(), 0)
          .number("heldRatio", queuedHeld.rate() / queued.rate(), 3)
          .number("heldFlatness", flatness(held), 3);
      return report;
    }
  }

  private void warmUp(List<Load> loads) throws Exception {
    for (Load load : loads) {
      load.run(WARM_UP, WARM_UP);
    }
    server.execute("CHECKPOINT");
  }

  /** A transaction with an old snapshot and an id: what it could see, nobody may clean up. */
  private static void hold(Connection holder) throws SQLException {
    holder.setAutoCommit(false);
    try (Statement statement = holder.createStatement()) {
      statement.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      statement.execute("SELECT pg_current_xact_id()");
    }
  }

  /** The last third against the first. */
  private static double flatness(List<Interval> intervals) {
    int third = Math.max(1, intervals.size() / 3);
    return Interval.sum(intervals.subList(intervals.size() - third, intervals.size())).rate()
        / Interval.sum(intervals.subList(0, third)).rate();
  }

  private void head() {
    report.line("%d-byte payloads, %s", Payloads.BYTES, workload);
    report.line("");
    report.row(
        "",
        "msg/s",
        "WAL B/msg",
        "page images",
        "msg/commit",
        "msg/receive",
        "client us",
        "server us");
  }

  private void contender(String name, Interval all) {
    report.row(
        name,
        all.rate(),
        all.walBytesPerMessage(),
        all.fullPages(),
        all.messagesPerTransaction(),
        all.messagesPerTake(),
        all.clientMicrosPerMessage(),
        all.serverMicrosPerMessage());
  }

  private void slices(String name, List<Interval> intervals) {
    List<String> rates =
        intervals.stream().map(interval -> "%,.0f".formatted(interval.rate())).toList();
    report.line("%-34s%s", name + ", msg/s in turn", String.join("  ", rates));
  }

  private void foot() {
    report.line("");
    server.deadRows().forEach(report::line);
    report.line("");
    report.line(
        "WAL is the whole server's, page images after checkpoints and vacuum included. A commit is a round trip.");
    report.line(
        "us: CPU time per message. The bare table's deletes commit as durably as its inserts, except where said;");
    report.line("the queue's claims and acks commit asynchronously, its sends never.");
  }

  private void numbers(Interval queued, Interval raw) {
    report
        .number("rate", queued.rate(), 0)
        .number("rawRate", raw.rate(), 0)
        .number("ratio", queued.rate() / raw.rate(), 3)
        .number("walBytesPerMessage", queued.walBytesPerMessage(), 0);
  }
}
