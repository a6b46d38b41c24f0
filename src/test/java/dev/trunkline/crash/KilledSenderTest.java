package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.QUICKLY_MISSED;
import static dev.trunkline.crash.OtherProcess.say;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.queue.Producer;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import dev.trunkline.queue.ReceiveOptions;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A sender that dies at any moment, and another that sends all of it again. */
@PostgresTest
class KilledSenderTest {
  private static final int LINES = 3_000;
  private static final QueueConfig DEDUPLICATING = QueueConfig.defaults().withDeduplication();

  private TestDatabase database;

  /** Sends line after line. */
  static final class Importer {
    private Importer() {}

    public static void main(String[] arguments) {
      Trunkline trunkline = OtherProcess.open(arguments, QUICKLY_MISSED);
      Producer producer = trunkline.queue("lines", QueueConfig.defaults()).producer("importer");
      Queue ids = trunkline.queue("ids", DEDUPLICATING);
      for (int i = 0; i < LINES; i++) {
        producer.send(i, Message.text(String.valueOf(i)));
        ids.send(Message.text(String.valueOf(i)).withDeduplicationId("line-" + i));
        if (i == 100) {
          say("sending");
        }
      }
    }
  }

  @Test
  void what_a_killed_sender_had_sent_is_not_sent_again_and_nothing_is_left_out() {
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), QUICKLY_MISSED);
        SecondJvm other = OtherProcess.running(Importer.class, database).start()) {
      other.awaitLine("sending");
      other.kill();

      Queue lines = trunkline.queue("lines", QueueConfig.defaults());
      Queue ids = trunkline.queue("ids", DEDUPLICATING);
      Producer producer = lines.producer("importer");
      long last = producer.lastSequence().orElseThrow();
      assertThat(last).isBetween(100L, LINES - 1L);
      for (int i = 0; i < Math.min(LINES, last + 100); i++) {
        producer.send(i, Message.text(String.valueOf(i)));
        ids.send(Message.text(String.valueOf(i)).withDeduplicationId("line-" + i));
      }

      List<String> all =
          IntStream.range(0, (int) Math.min(LINES, last + 100)).mapToObj(String::valueOf).toList();
      assertThat(received(lines)).containsExactlyElementsOf(all);
      assertThat(received(ids)).containsExactlyElementsOf(all);
    }
  }

  private static List<String> received(Queue queue) {
    return queue.receiveAndDelete(ReceiveOptions.defaults().withMaxMessages(10_000)).stream()
        .map(received -> received.message().text())
        .toList();
  }
}
