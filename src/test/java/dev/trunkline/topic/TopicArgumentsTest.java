package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNoException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class TopicArgumentsTest {
  private static final long MEBIBYTE = 1024 * 1024;

  private static void refused(String argument, Object value, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(argument + " must")
        .hasMessageContaining(value.toString());
  }

  @Test
  void a_topic_has_1_to_1000_partitions_and_payloads_up_to_256_mib() {
    TopicConfig config = TopicConfig.defaults();
    refused("partitions", 0, () -> config.withPartitions(0));
    refused("partitions", -3, () -> config.withPartitions(-3));
    refused("partitions", 1001, () -> config.withPartitions(1001));
    refused("maxPayloadBytes", 0, () -> config.withMaxPayloadBytes(0));
    refused("maxPayloadBytes", 268435457, () -> config.withMaxPayloadBytes(268435457));
    assertThatNoException().isThrownBy(() -> config.withPartitions(1).withPartitions(1000));
    assertThatNoException()
        .isThrownBy(() -> config.withMaxPayloadBytes(1).withMaxPayloadBytes(268435456));
  }

  @Test
  void the_defaults_are_those_that_are_documented() {
    TopicConfig config = TopicConfig.defaults();
    assertThat(config.partitions()).isEqualTo(4);
    assertThat(config.maxPayloadBytes()).isEqualTo(1024 * 1024);
    assertThat(config.retention())
        .isEqualTo(new Retention(Duration.ofDays(7), Retention.UNLIMITED, SlowGroups.HOLD, -1));
    assertThat(config.compaction())
        .isEqualTo(new Compaction(false, Duration.ZERO, Duration.ofHours(24)));
    assertThat(config.chunks()).isEqualTo(new Chunks(Duration.ZERO, 0));
  }

  @Test
  void each_with_changes_what_it_names_and_nothing_else() {
    TopicConfig config =
        TopicConfig.defaults()
            .withPartitions(7)
            .withMaxPayloadBytes(8)
            .withRetention(Retention.defaults().withBytes(9 * MEBIBYTE).droppingUnread())
            .withRetention(Duration.ofDays(3))
            .withCompaction(Compaction.on().withLag(Duration.ofSeconds(5)))
            .withChunks(new Chunks(Duration.ofHours(1), 2 * MEBIBYTE));
    assertThat(config)
        .isEqualTo(
            new TopicConfig(
                7,
                8,
                new Retention(Duration.ofDays(3), 9 * MEBIBYTE, SlowGroups.DROP, -1),
                new Compaction(true, Duration.ofSeconds(5), Duration.ofHours(24)),
                new Chunks(Duration.ofHours(1), 2 * MEBIBYTE)));
  }

  @Test
  void a_retention_is_at_least_a_second_and_a_mebibyte() {
    Retention retention = Retention.defaults();
    refused("age", "PT0S", () -> retention.withAge(Duration.ZERO));
    refused("age", "PT-1S", () -> retention.withAge(Duration.ofSeconds(-1)));
    refused("age", "PT0.999S", () -> retention.withAge(Duration.ofMillis(999)));
    refused("age", "PT876024H", () -> retention.withAge(Duration.ofDays(36_501)));
    refused("bytes", 0, () -> retention.withBytes(0));
    refused("bytes", MEBIBYTE - 1, () -> retention.withBytes(MEBIBYTE - 1));
    refused("capBytes", 5, () -> retention.holdingUnreadUpTo(5));
    refused("capBytes", -1, () -> retention.holdingUnreadUpTo(Retention.UNLIMITED));
    refused(
        "capBytes",
        MEBIBYTE,
        () -> new Retention(Duration.ofDays(1), -1, SlowGroups.DROP, MEBIBYTE));
    assertThat(Retention.forever().age()).isEqualTo(Retention.FOREVER);
    assertThat(retention.holdingUnreadUpTo(MEBIBYTE).holdingUnread()).isEqualTo(retention);
    assertThat(retention.withAge(Duration.ofSeconds(1, 999)).age())
        .as("as the database keeps it")
        .isEqualTo(Duration.ofSeconds(1));
  }

  @Test
  void a_compaction_has_times_of_up_to_a_year() {
    Compaction compaction = Compaction.on();
    refused("lag", "PT-1S", () -> compaction.withLag(Duration.ofSeconds(-1)));
    refused("lag", "PT8784H", () -> compaction.withLag(Duration.ofDays(366)));
    refused(
        "tombstoneRetention",
        "PT-0.001S",
        () -> compaction.withTombstoneRetention(Duration.ofMillis(-1)));
    assertThat(Compaction.off().withLag(Duration.ofDays(1)))
        .as("of none all are equal")
        .isEqualTo(Compaction.off());
    assertThat(compaction.withTombstoneRetention(Duration.ZERO).tombstoneRetention()).isZero();
  }

  @Test
  void chunks_are_a_tenth_of_the_retention_unless_told() {
    refused("age", "PT0.5S", () -> new Chunks(Duration.ofMillis(500), 0));
    refused("age", "PT8784H", () -> new Chunks(Duration.ofDays(366), 0));
    refused("bytes", 1, () -> new Chunks(Duration.ZERO, 1));
    refused("bytes", -1, () -> new Chunks(Duration.ZERO, -1));
    Chunks auto = Chunks.auto();
    Map.of(
            Duration.ofSeconds(1),
            Duration.ofSeconds(1),
            Duration.ofSeconds(50),
            Duration.ofSeconds(5),
            Duration.ofDays(5),
            Duration.ofHours(12),
            Duration.ofDays(500),
            Duration.ofDays(1),
            Retention.FOREVER,
            Duration.ofDays(1))
        .forEach(
            (age, share) ->
                assertThat(auto.ageFor(Retention.defaults().withAge(age))).isEqualTo(share));
    assertThat(auto.bytesFor(Retention.defaults())).isEqualTo(256 * MEBIBYTE);
    assertThat(auto.bytesFor(Retention.defaults().withBytes(2 * MEBIBYTE))).isEqualTo(MEBIBYTE);
    assertThat(auto.bytesFor(Retention.defaults().withBytes(50 * MEBIBYTE)))
        .isEqualTo(5 * MEBIBYTE);
    assertThat(auto.bytesFor(Retention.defaults().withBytes(50_000 * MEBIBYTE)))
        .isEqualTo(256 * MEBIBYTE);
    Chunks told = new Chunks(Duration.ofSeconds(2), 3 * MEBIBYTE);
    assertThat(told.ageFor(Retention.defaults())).isEqualTo(Duration.ofSeconds(2));
    assertThat(told.bytesFor(Retention.defaults())).isEqualTo(3 * MEBIBYTE);
  }
}
