package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.support.SecondJvm;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What fits into a heap of 128 MiB: {@link SmallHeap} does the work in a JVM of its own, on
 * messages that this one has made wait.
 */
final class MemoryRun {
  private static final int WAITING = 1_000_000;
  private static final int PER_SEND = 10_000;
  private static final Duration LIFETIME = Duration.ofMinutes(8);

  private final Server server;
  private final Payloads payloads = new Payloads();

  MemoryRun(Server server) {
    this.server = server;
  }

  Report run() {
    Report report = new Report("queue-memory");
    report.line("-Xmx128m, %d-byte payloads; heap in MiB", Payloads.BYTES);
    report.line("");
    report.row("", "messages", "seconds", "msg/s", "heap peak", "after GC");
    try (Trunkline trunkline = Trunkline.open(server.pool())) {
      Queue queue =
          trunkline.queue("memory-" + ProcessHandle.current().pid(), QueueConfig.defaults());
      try {
        step(report, queue, "send", "one send of 100k");
        queue.purge();
        fill(queue);
        step(report, queue, "pull", "drain by receive and ackAll");
        fill(queue);
        step(report, queue, "push", "drain by consume");
      } finally {
        queue.delete();
      }
    }
    return report;
  }

  private void fill(Queue queue) {
    for (int sent = 0; sent < WAITING; sent += PER_SEND) {
      List<Message> messages = new ArrayList<>(PER_SEND);
      for (int i = 0; i < PER_SEND; i++) {
        messages.add(Message.bytes(payloads.get(sent + i)));
      }
      queue.sendAll(messages);
    }
  }

  private void step(Report report, Queue queue, String task, String name) {
    Map<String, Long> found = new LinkedHashMap<>();
    try (SecondJvm jvm =
        SecondJvm.running(SmallHeap.class)
            .arguments(server.url(), queue.name(), task)
            .maxHeap("128m")
            .lifetime(LIFETIME)
            .start()) {
      int status = jvm.awaitExit(LIFETIME);
      if (status != 0) {
        throw new IllegalStateException(
            "%s ended with status %d:%n%s".formatted(task, status, String.join("\n", jvm.lines())));
      }
      for (String line : jvm.lines()) {
        String[] pair = line.split("=", 2);
        found.put(pair[0], Long.valueOf(pair[1]));
      }
    }
    double seconds = found.getOrDefault("millis", 0L) / 1e3;
    long messages = found.getOrDefault("messages", 0L);
    double peak = found.getOrDefault("peakBytes", 0L) / 1048576.0;
    double afterGc = found.getOrDefault("afterGcBytes", 0L) / 1048576.0;
    report.row(name, messages, seconds, messages / seconds, peak, afterGc);
    report
        .number(task + "Messages", messages, 0)
        .number(task + "Seconds", seconds, 2)
        .number(task + "PeakMiB", peak, 1)
        .number(task + "AfterGcMiB", afterGc, 1);
  }
}
