package dev.trunkline.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import com.zaxxer.hikari.HikariDataSource;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.slf4j.LoggerFactory;

/** The extension itself: it fails the tests that leave something behind, and no others. */
class InvariantsExtensionTest {

  @Test
  void a_message_in_no_state_fails_the_test() {
    assertThat(failures(LosesMessage.class)).singleElement().asString().contains("is in no state");
  }

  @Test
  void a_thread_of_the_library_left_behind_fails_the_test() {
    try {
      assertThat(failures(LeavesThread.class))
          .singleElement()
          .asString()
          .contains("threads left behind", "trunkline-left-behind");
    } finally {
      LeavesThread.END.countDown();
    }
  }

  @Test
  void a_pooled_connection_kept_fails_the_test() {
    assertThat(failures(KeepsConnection.class))
        .singleElement()
        .asString()
        .contains("connections kept", "test-");
  }

  @Test
  void an_error_in_the_log_fails_the_test() {
    assertThat(failures(LogsError.class)).singleElement().asString().contains("provoked");
  }

  @Test
  void an_expected_error_in_the_log_does_not() {
    assertThat(failures(LogsExpectedError.class)).isEmpty();
  }

  private static List<Throwable> failures(Class<?> testClass) {
    return EngineTestKit.engine("junit-jupiter")
        .selectors(selectClass(testClass))
        .configurationParameter(InvariantsExtension.PATIENCE, "50")
        .execute()
        .testEvents()
        .assertStatistics(statistics -> statistics.started(1))
        .finished()
        .stream()
        .map(event -> event.getRequiredPayload(TestExecutionResult.class))
        .flatMap(result -> result.getThrowable().stream())
        .toList();
  }

  @PostgresTest
  static class LosesMessage {
    @Test
    void loses(TestDatabase database) {
      database.execute(
          "INSERT INTO trunkline.message (queue_id, priority, payload) VALUES (7, 5, 'x')");
    }
  }

  @PostgresTest
  static class LeavesThread {
    static final CountDownLatch END = new CountDownLatch(1);

    @Test
    void leaves() {
      Thread thread =
          new Thread(
              () -> {
                try {
                  END.await();
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
              },
              "trunkline-left-behind");
      thread.setDaemon(true);
      thread.start();
    }
  }

  @PostgresTest
  static class KeepsConnection {
    @Test
    @SuppressWarnings("resource")
    void keeps(TestDatabase database) throws SQLException {
      HikariDataSource pool = database.pool(config -> config.setMaximumPoolSize(1));
      pool.getConnection();
    }
  }

  @PostgresTest
  static class LogsError {
    @Test
    void logs() {
      LoggerFactory.getLogger(LogsError.class).error("provoked by a test");
    }
  }

  @PostgresTest
  static class LogsExpectedError {
    @Test
    @ExpectsErrors
    void logs() {
      LoggerFactory.getLogger(LogsExpectedError.class).error("provoked by a test");
    }
  }
}
