package dev.trunkline.demo;

import java.time.Duration;
import java.util.Locale;

/** The five services that hear of an order, each as a group of its own and at its own pace. */
enum Service {
  /** Charges the customer; must not do it twice. */
  PAYMENT(8, Duration.ofMillis(50)),
  /** Takes the items off the stock. */
  INVENTORY(4, Duration.ofMillis(20)),
  /**
   * Writes to the customer, by a slow mail server: how slow and how many at a time is asked for.
   */
  EMAIL(Services.PARTITIONS, Duration.ofSeconds(3)),
  /** Packs the parcel. */
  WAREHOUSE(8, Duration.ofMillis(100)),
  /** Counts. */
  ANALYTICS(4, Duration.ZERO);

  private final int concurrency;
  private final Duration workTime;

  Service(int concurrency, Duration workTime) {
    this.concurrency = concurrency;
    this.workTime = workTime;
  }

  /** The name of the group, in the table and in {@code trunkline_demo.effects}. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Events handled at the same time, each of another partition. */
  int concurrency() {
    return concurrency;
  }

  /** How long one event takes. */
  Duration workTime() {
    return workTime;
  }
}
