package dev.trunkline.benchmark;

import dev.trunkline.message.Message;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/**
 * How long a message takes from its commit to the start of its handler, at a steady 500 a second,
 * one message per transaction, whatever the answers take.
 *
 * <p>The commit is taken as the moment when the sender's call has returned. Where the handler began
 * before that, zero is counted. The time from before the call is shown, too: it has no such doubt
 * and includes the sender's wait for the disk. What a bare commit takes is measured before and
 * after: no message can be faster than the disk.
 */
final class LatencyRun {
  private static final int PER_SECOND = 500;
  private static final int SENDERS = 4;

  /** So long the compilers of the virtual machine take a good part of two cores. */
  private static final Duration WARM_UP = Duration.ofSeconds(20);

  private static final Duration BARE = Duration.ofSeconds(5);
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final Server server;
  private final SteadyPace pace = new SteadyPace(PER_SECOND, SENDERS);
  private final BareCommits bare;
  private final LatencyPath path;
  private final boolean callersTransaction;
  private final Payloads payloads = new Payloads();
  private final int warmUp = (int) (PER_SECOND * WARM_UP.toSeconds());
  private final int count;
  private final AtomicLongArray called;
  private final AtomicLongArray committed;
  private final AtomicLongArray handled;

  LatencyRun(Server server, LatencyPath path, Duration time, boolean callersTransaction) {
    this.server = server;
    this.bare = new BareCommits(server, pace);
    this.path = path;
    this.callersTransaction = callersTransaction;
    this.count = warmUp + (int) (PER_SECOND * time.toSeconds());
    this.called = new AtomicLongArray(count);
    this.committed = new AtomicLongArray(count);
    this.handled = new AtomicLongArray(count);
  }

  Report run() throws Exception {
    bare.measure((int) (PER_SECOND * BARE.toSeconds()));
    try (LatencyPath open = path) {
      open.handle(
          payload ->
              handled.compareAndSet(ByteBuffer.wrap(payload).getInt(), 0, System.nanoTime()));
      pace.run(count, this::send);
      awaitHandlers();
    }
    bare.measure((int) (PER_SECOND * BARE.toSeconds()));
    return report();
  }

  private void send(int number) throws SQLException {
    byte[] payload = payloads.get(number).clone();
    ByteBuffer.wrap(payload).putInt(number);
    Message message = Message.bytes(payload);
    if (callersTransaction) {
      try (Connection connection = server.connection()) {
        connection.setAutoCommit(false);
        path.send(connection, message);
        called.set(number, System.nanoTime());
        connection.commit();
        committed.set(number, System.nanoTime());
        connection.setAutoCommit(true);
      }
    } else {
      called.set(number, System.nanoTime());
      path.send(message);
      committed.set(number, System.nanoTime());
    }
  }

  private void awaitHandlers() {
    long end = System.nanoTime() + PATIENCE.toNanos();
    for (int number = 0; number < count; number++) {
      while (handled.get(number) == 0) {
        if (System.nanoTime() - end > 0) {
          throw new IllegalStateException("message %d was never handled".formatted(number));
        }
        LockSupport.parkNanos(1_000_000);
      }
    }
  }

  private Report report() {
    Quantiles fromCommit = new Quantiles(count - warmUp);
    Quantiles fromCall = new Quantiles(count - warmUp);
    Quantiles ofSend = new Quantiles(count - warmUp);
    for (int number = warmUp; number < count; number++) {
      fromCommit.add(Math.max(0, handled.get(number) - committed.get(number)));
      fromCall.add(handled.get(number) - called.get(number));
      ofSend.add(committed.get(number) - called.get(number));
    }
    Quantiles ofBare = bare.all();
    String call = callersTransaction ? "commit" : "send";
    Report report = new Report(path.name() + "-latency");
    report.line(
        "%d/s, one message per transaction of %s, %d senders, push consumer, %d messages",
        PER_SECOND, callersTransaction ? "the sender's" : "its own", SENDERS, count - warmUp);
    report.line("");
    report.row("ms", "p50", "p99", "p99.9", "max");
    row(report, "return of %s to handler".formatted(call), fromCommit);
    row(report, "call of %s to handler".formatted(call), fromCall);
    row(report, "the %s itself".formatted(call), ofSend);
    row(report, "a bare insert, committed", ofBare);
    return report
        .number("p50Ms", fromCommit.millis(0.5), 2)
        .number("p99Ms", fromCommit.millis(0.99), 2)
        .number("maxMs", fromCommit.millis(1), 2)
        .number("fromCallP50Ms", fromCall.millis(0.5), 2)
        .number("fromCallP99Ms", fromCall.millis(0.99), 2)
        .number("sendP50Ms", ofSend.millis(0.5), 2)
        .number("sendP99Ms", ofSend.millis(0.99), 2)
        .number("bareP50Ms", ofBare.millis(0.5), 2)
        .number("bareP99Ms", ofBare.millis(0.99), 2);
  }

  private static void row(Report report, String name, Quantiles of) {
    report.row(name, of.millis(0.5), of.millis(0.99), of.millis(0.999), of.millis(1));
  }
}
