package dev.trunkline.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * The last word of a run: whether every committed order reached every service as promised, and how.
 *
 * @param reckoning what the database says
 * @param answered orders of this run whose commit was confirmed to whoever sent them
 * @param temporary whether the server, with all that waits in it, goes with this run
 */
record Summary(Reckoning reckoning, long answered, boolean temporary) {
  private static final String TITLES =
      "%-10s %7s %7s %7s %8s %6s %5s %8s %12s"
          .formatted(
              "service",
              "orders",
              "once",
              "twice+",
              "waiting",
              "dead",
              "LOST",
              "retried",
              "redelivered");

  /** Whether all promises were kept. */
  boolean isGood() {
    return reckoning.lost() == 0
        && missing() == 0
        && paidTwice() == 0
        && reckoning.totals().ghostEffects() == 0
        && reckoning.totals().ghostEvents() == 0;
  }

  /** For people. */
  List<String> lines() {
    List<String> lines = new ArrayList<>();
    Reckoning.Totals totals = reckoning.totals();
    lines.add(
        "Summary, by SQL: %d orders committed, %d of them by this run (%d answered)"
            .formatted(totals.orders(), totals.byThisRun(), answered));
    lines.add(TITLES);
    reckoning.rows().forEach(row -> lines.add(line(row)));
    lines.add("(redelivered, because whoever had it was killed or cut off: by this run / ever)");
    lines.add("");
    reckoning.rows().forEach(row -> addRemarks(row, lines));
    reckoning.deaths().forEach(death -> lines.add(line(death)));
    addVerdict(lines);
    return lines;
  }

  /** Orders whose commit was confirmed, and which are not there. */
  private long missing() {
    return Math.max(0, answered - reckoning.totals().byThisRun());
  }

  /** Of the service that promises exactly once. */
  private long paidTwice() {
    return reckoning.rows().stream()
        .filter(row -> row.service().equals(Service.PAYMENT.label()))
        .mapToLong(row -> row.handled().moreThanOnce())
        .sum();
  }

  private String line(Reckoning.Row row) {
    Reckoning.Redelivered again = reckoning.redelivered(row.service());
    return String.format(
        Locale.ROOT,
        "%-10s %7d %7d %7d %8d %6d %5d %8d %12s",
        row.service(),
        row.orders(),
        row.handled().once(),
        row.handled().moreThanOnce(),
        row.waiting().sum(),
        row.dead(),
        row.lost(),
        row.handled().retried(),
        again.byThisRun() + " / " + again.ever());
  }

  private void addRemarks(Reckoning.Row row, List<String> lines) {
    Reckoning.Waiting waiting = row.waiting();
    if (waiting.sum() > 0) {
      lines.add(
          "%s: waiting: %d (%d of them being retried); %s"
              .formatted(
                  row.service(),
                  waiting.sum(),
                  waiting.retrying(),
                  temporary ? "gone with this server, --data DIR keeps it" : "for the next run"));
    }
    if (row.handled().moreThanOnce() > 0) {
      lines.add(
          "%s: handled more than once: %d, done but cut off before the offset"
              .formatted(row.service(), row.handled().moreThanOnce()));
    }
    long once = reckoning.redelivered(row.service()).once();
    if (row.service().equals(Service.PAYMENT.label()) && once > 0) {
      lines.add(
          "%s: redelivered and done once all the same: %d, effect and offset are one transaction"
              .formatted(row.service(), once));
    }
  }

  private static String line(Reckoning.Death death) {
    return "dead letters of %s: %d %s (%s), order %s for one"
        .formatted(death.group(), death.letters(), death.reason(), death.error(), death.example());
  }

  private void addVerdict(List<String> lines) {
    Reckoning.Totals totals = reckoning.totals();
    if (isGood()) {
      lines.add(
          "Nothing is lost: for each service every order is handled, waiting or a dead letter.");
      return;
    }
    if (reckoning.lost() > 0) {
      lines.add(
          "LOST: "
              + reckoning.rows().stream()
                  .filter(row -> row.lost() > 0)
                  .map(row -> "%d orders never reach %s".formatted(row.lost(), row.service()))
                  .collect(Collectors.joining(", ")));
    }
    if (missing() > 0) {
      lines.add(
          "LOST: %d orders were answered as committed and are not there".formatted(missing()));
    }
    if (paidTwice() > 0) {
      lines.add("WRONG: payment has charged %d orders more than once".formatted(paidTwice()));
    }
    if (totals.ghostEffects() > 0 || totals.ghostEvents() > 0) {
      lines.add(
          "WRONG: %d effects and %d events belong to no committed order"
              .formatted(totals.ghostEffects(), totals.ghostEvents()));
    }
  }
}
