package dev.trunkline.support;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariDataSource;
import java.time.Duration;
import java.util.List;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.platform.commons.support.AnnotationSupport;
import org.slf4j.LoggerFactory;

/**
 * After every test, when its own clean-up is done: no thread of the library lives, no pooled
 * connection is out, nothing was logged at ERROR that the test does not expect, and the {@link
 * Invariants} hold. After a test that failed only the last are checked: its clean-up may be half
 * done.
 */
public final class InvariantsExtension implements BeforeEachCallback, AfterEachCallback {
  private static final Namespace NAMESPACE = Namespace.create(InvariantsExtension.class);

  /** How long a test's clean-up may take to end what it told to end, in milliseconds. */
  static final String PATIENCE = "trunkline.invariants.patience";

  private static final Duration DEFAULT_PATIENCE = Duration.ofSeconds(5);

  @Override
  public void beforeEach(ExtensionContext context) {
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    rootLogger().addAppender(log);
    context.getStore(NAMESPACE).put("log", log);
  }

  @Override
  public void afterEach(ExtensionContext context) {
    TestDatabase database = PostgresExtension.database(context);
    ListAppender<?> log = context.getStore(NAMESPACE).get("log", ListAppender.class);
    try {
      if (context.getExecutionException().isEmpty()) {
        ConditionFactory patiently = Awaits.await().atMost(patience(context));
        patiently.untilAsserted(
            () -> assertThat(liveThreads()).as("threads left behind").isEmpty());
        patiently.untilAsserted(
            () -> assertThat(busyPools(database)).as("connections kept").isEmpty());
      }
    } finally {
      detach(log);
    }
    if (context.getExecutionException().isEmpty() && !expectsErrors(context)) {
      assertThat(errors(log)).as("logged at ERROR").isEmpty();
    }
    assertThat(Invariants.broken(database)).as("invariants").isEmpty();
  }

  private static Duration patience(ExtensionContext context) {
    return context
        .getConfigurationParameter(PATIENCE)
        .map(millis -> Duration.ofMillis(Long.parseLong(millis)))
        .orElse(DEFAULT_PATIENCE);
  }

  private static List<String> liveThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(Thread::isAlive)
        .map(Thread::getName)
        .filter(name -> name.startsWith("trunkline"))
        .sorted()
        .toList();
  }

  private static List<String> busyPools(TestDatabase database) {
    return database.openPools().stream()
        .filter(pool -> pool.getHikariPoolMXBean() != null)
        .filter(pool -> pool.getHikariPoolMXBean().getActiveConnections() > 0)
        .map(HikariDataSource::getPoolName)
        .toList();
  }

  private static List<String> errors(ListAppender<?> log) {
    return List.copyOf(log.list).stream()
        .map(ILoggingEvent.class::cast)
        .filter(event -> event.getLevel().isGreaterOrEqual(Level.ERROR))
        .map(event -> event.getLoggerName() + ": " + event.getFormattedMessage())
        .toList();
  }

  private static boolean expectsErrors(ExtensionContext context) {
    return AnnotationSupport.isAnnotated(context.getElement(), ExpectsErrors.class)
        || AnnotationSupport.isAnnotated(context.getTestClass(), ExpectsErrors.class);
  }

  @SuppressWarnings("unchecked")
  private static void detach(ListAppender<?> log) {
    rootLogger().detachAppender((ListAppender<ILoggingEvent>) log);
    log.stop();
  }

  private static Logger rootLogger() {
    return (Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME);
  }
}
