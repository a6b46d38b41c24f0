package dev.trunkline.demo;

import java.util.List;

/**
 * What became of every committed order, at one moment and by the database alone.
 *
 * @param rows one per service
 * @param redelivered one per service that has any
 * @param deaths the commonest reasons
 */
record Reckoning(Totals totals, List<Row> rows, List<Redelivered> redelivered, List<Death> deaths) {

  /** Copies the lists. */
  Reckoning {
    rows = List.copyOf(rows);
    redelivered = List.copyOf(redelivered);
    deaths = List.copyOf(deaths);
  }

  /**
   * All services together.
   *
   * @param ghostEffects effects of orders that were never committed
   * @param ghostEvents events of orders that were never committed
   */
  record Totals(long orders, long byThisRun, long ghostEffects, long ghostEvents) {}

  /** A service; handled once, handled more often, waiting, dead and lost add up to the orders. */
  record Row(String service, long orders, Handled handled, Waiting waiting, long dead, long lost) {}

  /**
   * Orders whose effect is there.
   *
   * @param retried orders that failed at first, handled or not
   */
  record Handled(long once, long moreThanOnce, long retried) {}

  /**
   * Orders whose event the group is not past.
   *
   * @param retrying those of them that have failed
   */
  record Waiting(long sum, long retrying) {}

  /**
   * Orders that a service was given again though it had not failed: the process that had them was
   * lost.
   *
   * @param once those of them that have their effect, and have it once
   */
  record Redelivered(String service, long ever, long byThisRun, long once) {
    static final Redelivered NONE = new Redelivered("", 0, 0, 0);
  }

  /** Dead letters of one reason. */
  record Death(String group, String reason, String error, long letters, String example) {}

  /** The redeliveries of a service. */
  Redelivered redelivered(String service) {
    return redelivered.stream()
        .filter(each -> each.service().equals(service))
        .findFirst()
        .orElse(Redelivered.NONE);
  }

  /** Orders that no service will ever hear of, counted once per service. */
  long lost() {
    return rows.stream().mapToLong(Row::lost).sum();
  }
}
