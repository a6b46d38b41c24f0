package dev.trunkline.internal.loop;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.trunkline.support.Awaits;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class LoopTest {
  private final Logger logger = (Logger) LoggerFactory.getLogger(Loop.class);
  private final ListAppender<ILoggingEvent> log = new ListAppender<>();
  private final AtomicInteger rounds = new AtomicInteger();

  @BeforeEach
  void listen_to_the_log() {
    log.start();
    logger.addAppender(log);
    logger.setAdditive(false);
  }

  @AfterEach
  void leave_the_log() {
    logger.detachAppender(log);
    logger.setAdditive(true);
  }

  @Test
  void a_failing_step_is_tried_again_until_it_works_and_logged_once_per_change_of_state() {
    AtomicBoolean failing = new AtomicBoolean(true);
    try (Loop loop =
        new Loop(
                "failing",
                () -> {
                  rounds.incrementAndGet();
                  if (failing.get()) {
                    throw new IllegalStateException("on purpose");
                  }
                  return Duration.ofMillis(1);
                })
            .start()) {
      Awaits.until(() -> rounds.get() == 4);
      assertThat(lines()).containsExactly("WARN failing: failed, is tried again until it works");
      failing.set(false);
      Awaits.until(() -> rounds.get() > 10);
      assertThat(lines())
          .containsExactly(
              "WARN failing: failed, is tried again until it works", "INFO failing: works again");
      failing.set(true);
      Awaits.until(() -> lines().size() == 3);
      assertThat(lines().get(2)).startsWith("WARN");
      assertThat(loop).isNotNull();
    }
  }

  @Test
  void an_error_does_not_end_the_loop_either() {
    try (Loop loop =
        new Loop(
                "erring",
                () -> {
                  if (rounds.incrementAndGet() == 1) {
                    throw new StackOverflowError("on purpose");
                  }
                  return Duration.ofHours(1);
                })
            .start()) {
      Awaits.until(() -> rounds.get() == 2);
      assertThat(loop).isNotNull();
    }
  }

  @Test
  void the_back_off_doubles_and_signals_do_not_cut_it_short() {
    long begin = System.nanoTime();
    try (Loop loop =
        new Loop(
                "signalled",
                () -> {
                  rounds.incrementAndGet();
                  throw new IllegalStateException("on purpose");
                })
            .start()) {
      Awaits.until(
          () -> {
            loop.wake();
            return rounds.get() >= 4;
          });
      // 100 ms, 200 ms and 400 ms, each with up to half of it off.
      assertThat(Duration.ofNanos(System.nanoTime() - begin)).isGreaterThan(Duration.ofMillis(345));
    }
  }

  @Test
  void a_stop_ends_the_back_off_at_once() {
    Loop loop =
        new Loop(
                "stopped",
                () -> {
                  rounds.incrementAndGet();
                  throw new IllegalStateException("on purpose");
                })
            .start();
    // The next pause is 1.6 s at least.
    Awaits.until(() -> rounds.get() == 6);

    long begin = System.nanoTime();
    loop.close();
    assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofMillis(1500));
    assertThat(rounds).hasValue(6);
  }

  @Test
  void a_stop_waits_for_the_round_to_end() throws InterruptedException {
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch leave = new CountDownLatch(1);
    AtomicBoolean finished = new AtomicBoolean();
    Loop loop =
        new Loop(
                "busy",
                () -> {
                  inside.countDown();
                  leave.await();
                  finished.set(true);
                  return Duration.ZERO;
                })
            .start();
    inside.await();
    loop.stop();
    assertThat(loop.await(Duration.ofMillis(20))).isFalse();
    leave.countDown();
    loop.close();
    assertThat(finished).isTrue();
    assertThat(loop.await(Duration.ofMillis(1))).isTrue();
  }

  @Test
  void closing_from_inside_a_round_and_closing_twice_are_harmless() {
    Loop[] self = new Loop[1];
    CountDownLatch go = new CountDownLatch(1);
    self[0] =
        new Loop(
            "self-closing",
            () -> {
              go.await();
              rounds.incrementAndGet();
              self[0].close();
              return Duration.ZERO;
            });
    self[0].start();
    go.countDown();
    Awaits.until(() -> self[0].await(Duration.ofMillis(1)));
    self[0].close();
    assertThat(rounds).hasValue(1);
  }

  @Test
  void an_interrupted_closer_passes_the_interrupt_on_and_keeps_it() throws InterruptedException {
    CountDownLatch inside = new CountDownLatch(1);
    AtomicBoolean interrupted = new AtomicBoolean();
    Loop loop =
        new Loop(
                "stuck",
                () -> {
                  inside.countDown();
                  try {
                    new CountDownLatch(1).await();
                  } catch (InterruptedException e) {
                    interrupted.set(true);
                    throw e;
                  }
                  return Duration.ZERO;
                })
            .start();
    inside.await();
    Thread.currentThread().interrupt();
    loop.close();
    assertThat(Thread.interrupted()).isTrue();
    Awaits.until(() -> loop.await(Duration.ofMillis(1)));
    assertThat(interrupted).isTrue();
  }

  @Test
  void a_wake_makes_the_next_round_due_at_once() {
    try (Loop loop =
        new Loop(
                "sleeper",
                () -> {
                  rounds.incrementAndGet();
                  return Duration.ofHours(1);
                })
            .start()) {
      Awaits.until(() -> rounds.get() == 1);
      loop.wake();
      Awaits.until(() -> rounds.get() == 2);
    }
  }

  private List<String> lines() {
    return List.copyOf(log.list).stream()
        .filter(event -> event.getLevel().isGreaterOrEqual(Level.INFO))
        .map(event -> event.getLevel() + " " + event.getFormattedMessage())
        .toList();
  }
}
