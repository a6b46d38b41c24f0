package dev.trunkline.benchmark;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * How many records a second go into a log and out of it again, to one group and to three, and how
 * many through a bare table.
 *
 * <p>All take turns in slices of a few seconds, so that what else the machine does hits them alike.
 */
final class LogRun {
  /** Long enough for the virtual machine to compile what is hot; of a topic that is more. */
  private static final Duration WARM_UP = Duration.ofSeconds(40);

  private static final Duration BARE_WARM_UP = Duration.ofSeconds(10);

  private static final Duration SLICE = Duration.ofSeconds(5);
  private static final int MANY = 3;

  private final Server server;
  private final Duration time;
  private final Report report = new Report("topic");

  LogRun(Server server, Duration time) {
    this.server = server;
    this.time = time;
  }

  /** A contender, and what came of its slices. */
  private record Entry(Load load, boolean isBare, int copies, List<Interval> slices) {
    static Entry topic(Server server, int groups) {
      Workload workload = Workload.groups(groups);
      return new Entry(
          new Load(server, workload, new TopicContender(server, workload)),
          false,
          groups,
          new ArrayList<>());
    }

    static Entry bare(Server server, int readers) {
      Workload workload = Workload.readers(readers);
      return new Entry(
          new Load(server, workload, new BareLogContender(server, workload)),
          true,
          readers,
          new ArrayList<>());
    }

    void run(Duration time, Duration slice) throws Exception {
      slices.addAll(load.run(time, slice));
    }

    double inRate() {
      return inRate(slices);
    }

    double inRate(List<Interval> of) {
      return Interval.sum(of).rate() / copies;
    }

    double walBytes() {
      return Interval.sum(slices).walBytesPerMessage() * copies;
    }
  }

  /** Slices of each, in turn. */
  Report run() throws Exception {
    server.vacuumSoon();
    Entry one = Entry.topic(server, 1);
    Entry three = Entry.topic(server, MANY);
    Entry bare = Entry.bare(server, 2);
    try (Load a = one.load();
        Load b = three.load();
        Load c = bare.load()) {
      List<Entry> entries = List.of(bare, one, three);
      warmUp(entries);
      int slices = (int) Math.max(2, time.toNanos() / SLICE.toNanos());
      Duration slice = time.dividedBy(slices);
      for (int i = 0; i < slices; i++) {
        for (Entry entry : i % 2 == 0 ? entries : reversed(entries)) {
          entry.run(slice, slice);
        }
      }
      head();
      entries.forEach(this::row);
      report.line("");
      entries.forEach(entry -> slices(entry.load().name(), entry, entry.slices()));
      foot();
      Interval read = Interval.sum(three.slices());
      report
          .number("inRate", one.inRate(), 0)
          .number("outRate", Interval.sum(one.slices()).rate(), 0)
          .number("rawRate", bare.inRate(), 0)
          .number("ratio", one.inRate() / bare.inRate(), 3)
          .number("walBytesPerRecord", one.walBytes(), 0)
          .number("threeGroupsInRate", three.inRate(), 0)
          .number("threeGroupsOutRate", read.rate(), 0)
          .number("fanOut", read.rate() / three.inRate(), 2);
      return report;
    }
  }

  /** One group for the whole time, first as it is, then while an old snapshot is held open. */
  Report runHeld() throws Exception {
    Entry one = Entry.topic(server, 1);
    Entry bare = Entry.bare(server, 2);
    try (Load a = one.load();
        Load b = bare.load()) {
      warmUp(List.of(one, bare));
      bare.run(SLICE, SLICE);
      List<Interval> clean = one.load().run(time, SLICE);
      List<Interval> held;
      try (Connection holder = server.connection()) {
        hold(holder);
        held = one.load().run(time, SLICE);
        holder.rollback();
        holder.setAutoCommit(true);
      }
      // The machine may have changed meanwhile: what was clean before is looked at again after.
      List<Interval> after = one.load().run(time.dividedBy(2), SLICE);
      bare.run(SLICE, SLICE);
      one.slices().addAll(clean);
      one.slices().addAll(after);
      head();
      row(one);
      row(one.load().name() + ", snapshot held", one, held);
      row(bare);
      report.line("");
      slices("clean before", one, clean);
      slices("snapshot held", one, held);
      slices("clean after", one, after);
      foot();
      double heldRate = one.inRate(held);
      report
          .number("inRate", one.inRate(), 0)
          .number("outRate", Interval.sum(one.slices()).rate(), 0)
          .number("rawRate", bare.inRate(), 0)
          .number("ratio", one.inRate() / bare.inRate(), 3)
          .number("walBytesPerRecord", one.walBytes(), 0)
          .number("heldRate", heldRate, 0)
          .number("heldRatio", heldRate / one.inRate(), 3)
          .number("heldFlatness", flatness(held), 3);
      return report;
    }
  }

  /** What one leaves to vacuum falls on different others. */
  private static List<Entry> reversed(List<Entry> entries) {
    List<Entry> reversed = new ArrayList<>(entries);
    Collections.reverse(reversed);
    return reversed;
  }

  private void warmUp(List<Entry> entries) throws Exception {
    for (Entry entry : entries) {
      Duration warmUp = entry.isBare() ? BARE_WARM_UP : WARM_UP;
      entry.load().run(warmUp, warmUp);
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
    report.line(
        "%d-byte payloads, 2 producers of 20, 4 partitions, members poll up to 500, at most 10,000 unread",
        Payloads.BYTES);
    report.line("");
    report.row(
        "", "in/s", "out/s", "WAL B/rec", "page images", "rec/poll", "client us", "server us");
  }

  private void row(Entry entry) {
    row(entry.load().name(), entry, entry.slices());
  }

  /** Of the bare table each reader passes every id, and reads half of the rows. */
  private void row(String name, Entry entry, List<Interval> slices) {
    Interval all = Interval.sum(slices);
    int copies = entry.copies();
    report.row(
        name,
        all.rate() / copies,
        entry.isBare() ? all.rate() / 2 : all.rate(),
        all.walBytesPerMessage() * copies,
        all.fullPages(),
        entry.isBare() ? all.messagesPerTake() / 2 : all.messagesPerTake(),
        all.clientMicrosPerMessage() * copies,
        all.serverMicrosPerMessage() * copies);
  }

  private void slices(String name, Entry entry, List<Interval> intervals) {
    List<String> rates =
        intervals.stream()
            .map(interval -> "%,.0f".formatted(interval.rate() / entry.copies()))
            .toList();
    report.line("%-34s%s", name + ", in/s", String.join("  ", rates));
  }

  private void foot() {
    report.line("");
    report.line("WAL is the whole server's, page images after checkpoints and vacuum included.");
    report.line("us: CPU time per record that goes in, its reading by all groups included.");
  }
}
