package dev.trunkline.crash;

import static dev.trunkline.crash.OtherProcess.say;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.SecondJvm;
import dev.trunkline.support.TestDatabase;
import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicConfig;
import dev.trunkline.topic.TopicRecord;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Processes that publish and sequence, killed in the middle of it. */
@PostgresTest
class KilledSequencerTest {
  private static final TrunklineConfig OPENED =
      TrunklineConfig.defaults().withMigrationMode(MigrationMode.OFF);
  private static final TopicConfig CONFIG = TopicConfig.defaults().withPartitions(2);
  private static final int KILLS = 1;

  private TestDatabase database;

  /** Publishes and reads without a pause; says what was confirmed, and what it read. */
  static final class Restless {
    private Restless() {}

    public static void main(String[] arguments) {
      Topic topic = OtherProcess.open(arguments, OPENED).topic("restless", CONFIG);
      Thread publisher = new Thread(() -> publish(topic, arguments[3]), "publisher");
      publisher.start();
      Map<Integer, Long> positions = new HashMap<>();
      while (true) {
        for (int partition = 0; partition < 2; partition++) {
          for (TopicRecord record :
              topic.read(partition, positions.getOrDefault(partition, 0L), 500)) {
            say("read %d %d %s".formatted(partition, record.offset(), record.message().text()));
            positions.put(partition, record.offset() + 1);
          }
        }
      }
    }

    private static void publish(Topic topic, String name) {
      for (int i = 0; ; i++) {
        String text = name + "-" + i;
        topic.publishAll(
            IntStream.range(0, 1 + i % 30)
                .mapToObj(n -> Message.text(text + "." + n).withKey("k" + n % 5))
                .toList());
        say("published %s %d".formatted(text, 1 + i % 30));
      }
    }
  }

  @Test
  void what_a_killed_process_published_or_read_stays_as_it_was() {
    Readings readings = new Readings();
    Set<String> confirmed = new HashSet<>();
    try (Trunkline trunkline = Trunkline.open(database.dataSource(), OPENED)) {
      Topic topic = trunkline.topic("restless", CONFIG);
      Map<Integer, Long> positions = new HashMap<>();
      for (int kill = 0; kill < KILLS; kill++) {
        try (SecondJvm other = OtherProcess.running(Restless.class, database, "p" + kill).start()) {
          int enough = readings.size() + 1_000;
          Awaits.until(
              () -> {
                readings.readOn(topic, positions);
                return readings.size() > enough && other.lines().size() > 1_000;
              });
          other.kill();
          remember(other.lines(), readings, confirmed);
        }
        assertThat(readings.whole(topic)).containsAll(confirmed);
      }
      List<String> whole = readings.whole(topic);

      assertThat(confirmed).hasSizeGreaterThan(KILLS * 100);
      assertThat(readings.changed()).isEmpty();
      assertThat(Readings.twice(whole)).isEmpty();
      assertThat(readings.size()).as("all that was ever read is there").isEqualTo(whole.size());
      topic.delete();
    }
  }

  /** The last line may have been cut off. */
  private static void remember(List<String> lines, Readings readings, Set<String> confirmed) {
    for (String line : lines.subList(0, lines.size() - 1)) {
      String[] words = line.split(" ");
      if (words[0].equals("read")) {
        readings.add(Integer.parseInt(words[1]), Long.parseLong(words[2]), words[3]);
      } else {
        IntStream.range(0, Integer.parseInt(words[2]))
            .forEach(n -> confirmed.add(words[1] + "." + n));
      }
    }
  }
}
