package dev.trunkline.crash;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** What the mains of this package have in common. */
final class OtherProcess {
  /** Noticed dead as soon as the limits allow, so that a test need not wait for long. */
  static final TrunklineConfig QUICKLY_MISSED =
      TrunklineConfig.defaults()
          .withMigrationMode(MigrationMode.OFF)
          .withPollInterval(Duration.ofMillis(100))
          .withHeartbeatTimeout(Duration.ofMillis(1_500));

  private OtherProcess() {}

  /** A second JVM with a main that begins with {@link #open}. */
  static SecondJvm.Setup running(Class<?> main, TestDatabase database, String... arguments) {
    List<String> all =
        new ArrayList<>(List.of(database.url(), database.user(), database.password()));
    all.addAll(List.of(arguments));
    return SecondJvm.running(main).arguments(all.toArray(String[]::new));
  }

  /** A Trunkline on the test's database. */
  static Trunkline open(String[] arguments, TrunklineConfig config) {
    return Trunkline.open(arguments[0], arguments[1], arguments[2], config);
  }

  /** Tells the test. */
  static synchronized void say(String line) {
    System.out.println(line);
  }

  /** Until the process is killed. */
  static void stay() {
    try {
      new CountDownLatch(1).await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
