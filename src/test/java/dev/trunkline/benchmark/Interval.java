package dev.trunkline.benchmark;

import java.time.Duration;
import java.util.List;

/**
 * What happened between two moments.
 *
 * @param time between them
 * @param settled messages that went all the way through
 * @param takes how often a consumer received any
 * @param walBytes of the whole server, page images included
 * @param fullPages page images among them
 * @param transactions of the whole database
 * @param clientCpu of this JVM, everything in it
 * @param serverCpu of the server, if it is on this machine
 */
record Interval(
    Duration time,
    long settled,
    long takes,
    long walBytes,
    long fullPages,
    long transactions,
    Duration clientCpu,
    Duration serverCpu) {

  static Interval between(Load.Mark from, Load.Mark to) {
    Server.Counters before = from.counters();
    Server.Counters after = to.counters();
    return new Interval(
        Duration.ofNanos(after.nanos() - before.nanos()),
        to.settled() - from.settled(),
        to.takes() - from.takes(),
        after.walBytes() - before.walBytes(),
        after.fullPages() - before.fullPages(),
        after.transactions() - before.transactions(),
        after.clientCpu().minus(before.clientCpu()),
        after.serverCpu().minus(before.serverCpu()));
  }

  /** All of them as one. */
  static Interval sum(List<Interval> intervals) {
    Interval sum = new Interval(Duration.ZERO, 0, 0, 0, 0, 0, Duration.ZERO, Duration.ZERO);
    for (Interval next : intervals) {
      sum =
          new Interval(
              sum.time.plus(next.time),
              sum.settled + next.settled,
              sum.takes + next.takes,
              sum.walBytes + next.walBytes,
              sum.fullPages + next.fullPages,
              sum.transactions + next.transactions,
              sum.clientCpu.plus(next.clientCpu),
              sum.serverCpu.plus(next.serverCpu));
    }
    return sum;
  }

  /** Messages per second. */
  double rate() {
    return settled * 1e9 / time.toNanos();
  }

  double walBytesPerMessage() {
    return (double) walBytes / settled;
  }

  double messagesPerTake() {
    return (double) settled / takes;
  }

  double messagesPerTransaction() {
    return (double) settled / transactions;
  }

  /** Of all cores together. */
  double clientMicrosPerMessage() {
    return clientCpu.toNanos() / 1e3 / settled;
  }

  double serverMicrosPerMessage() {
    return serverCpu.toNanos() / 1e3 / settled;
  }
}
