package dev.trunkline.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What is said before anything happens: which server, where orders come from, how to look and stop.
 *
 * @param endpoint the URL of the endpoint, if there is one
 * @param run the number of this run on this database
 * @param unended earlier runs that were killed, or are still at work
 */
record Header(
    DemoOptions options,
    DemoDatabase database,
    Optional<String> endpoint,
    int run,
    List<RunStore.Unended> unended) {

  /** For people. */
  List<String> lines() {
    List<String> lines = new ArrayList<>();
    lines.add(
        "Trunkline demo, run %d: an order service and five services on one PostgreSQL"
            .formatted(run));
    lines.add("server    " + database.description());
    lines.add("look      " + database.psql() + " -c 'TABLE trunkline.group_lag'");
    lines.add("          (and trunkline.topics, trunkline.dead_letters, trunkline_demo.effects)");
    options
        .sources()
        .file()
        .ifPresent(
            name -> lines.add("orders    from " + (name.equals("-") ? "standard input" : name)));
    options
        .sources()
        .generated()
        .ifPresent(
            rate ->
                lines.add(
                    String.format(
                        Locale.ROOT, "orders    generated, %s per second", number(rate))));
    endpoint.ifPresent(
        url -> {
          lines.add("orders    by POST, for example");
          lines.add("          curl -d '" + OrderFormat.EXAMPLE + "' \\");
          lines.add("            " + url);
        });
    lines.add(
        "services  groups on the topic %s of %d partitions:"
            .formatted(Services.TOPIC, Services.PARTITIONS));
    lines.add("          payment (its effect and the group's offset are one transaction),");
    lines.add("          inventory, email, warehouse, analytics");
    lines.add(
        "email     %s s per mail, %d at a time by %d instances: keeps up with %s"
            .formatted(
                number(options.mail().time().toMillis() / 1000.0),
                options.mail().concurrency(),
                Math.min(options.mail().concurrency(), Services.EMAIL_INSTANCES),
                keepsUpWith(options.mail().perSecond())));
    lines.add(
        "trouble   payment rejects an amount of 0 or less, to the dead letters (1 in %d)"
            .formatted(Trouble.WORTHLESS_ONE_IN));
    lines.add(
        "          the warehouse fails at the first attempt of 1 order in %d: retried"
            .formatted(Trouble.STUCK_ONE_IN));
    lines.add("stop      " + end());
    for (RunStore.Unended earlier : unended) {
      lines.add(
          "note      run %d (process %d) never ended: what it held comes again in 10 s"
              .formatted(earlier.id(), earlier.pid()));
    }
    lines.add("");
    return lines;
  }

  static String keepsUpWith(double perSecond) {
    return Double.isInfinite(perSecond)
        ? "any rate"
        : number(Math.floor(perSecond * 10) / 10) + " orders/s";
  }

  private String end() {
    String itself =
        options
            .end()
            .seconds()
            .map(seconds -> "by itself after %s s".formatted(number(seconds.toMillis() / 1000.0)))
            .orElse("");
    if (options.sources().isFileOnly()) {
      itself =
          "by itself when all orders are handled"
              + (itself.isEmpty() ? "" : ", or" + itself.substring(9));
    }
    return "Ctrl-C" + (itself.isEmpty() ? "" : ", or " + itself);
  }

  private static String number(double value) {
    return value == Math.rint(value)
        ? String.format(Locale.ROOT, "%.0f", value)
        : String.format(Locale.ROOT, "%.1f", value);
  }
}
