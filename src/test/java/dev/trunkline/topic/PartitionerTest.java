package dev.trunkline.topic;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.message.Message;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PartitionerTest {
  @Test
  void the_hash_takes_bytes_as_unsigned_and_an_empty_key() {
    assertThat(Murmur2.hash(new byte[0])).isEqualTo(275646681);
    assertThat(Partitioner.partitionOf("", 7)).isBetween(0, 6);
    assertThat(Partitioner.partitionOf("Überraschung", 1000)).isBetween(0, 999);
    assertThat(Murmur2.hash("é".getBytes(UTF_8))).isNotEqualTo(Murmur2.hash("e".getBytes(UTF_8)));
  }

  /** (murmur2 & 0x7fffffff) % partitions: of a negative hash the sign is dropped, not the value. */
  @ParameterizedTest
  @CsvSource({"21, 4, 0", "foobar, 4, 2", "foobar, 10, 6", "abc, 10, 7"})
  void a_key_is_in_the_partition_of_the_same_number_as_in_kafka(
      String key, int partitions, int partition) {
    assertThat(Partitioner.partitionOf(key, partitions)).isEqualTo(partition);
    assertThat(new Partitioner().partitionFor(Message.text("x").withKey(key), partitions))
        .isEqualTo(partition);
  }

  @Test
  void keys_spread_over_all_partitions() {
    int[] counts = new int[8];
    for (int i = 0; i < 8_000; i++) {
      counts[Partitioner.partitionOf("customer-" + i, 8)]++;
    }
    for (int count : counts) {
      assertThat(count).isBetween(800, 1_200);
    }
  }

  @Test
  void without_a_key_one_partition_is_kept_for_sixteen_kibibytes_and_then_left() {
    Partitioner partitioner = new Partitioner();
    Message kibibyte = Message.bytes(new byte[1023]);
    int before = -1;
    for (int batch = 0; batch < 20; batch++) {
      Set<Integer> partitions = new HashSet<>();
      for (int i = 0; i < 16; i++) {
        partitions.add(partitioner.partitionFor(kibibyte, 4));
      }
      assertThat(partitions).hasSize(1);
      int now = partitions.iterator().next();
      assertThat(now).isBetween(0, 3).isNotEqualTo(before);
      before = now;
    }
  }

  @Test
  void empty_payloads_do_not_stay_in_one_partition_for_ever() {
    Partitioner partitioner = new Partitioner();
    Message empty = Message.bytes(new byte[0]);
    Set<Integer> partitions = new HashSet<>();
    for (int i = 0; i < 400_000; i++) {
      partitions.add(partitioner.partitionFor(empty, 4));
    }
    assertThat(partitions).hasSize(4);
  }

  @Test
  void a_new_number_of_partitions_is_obeyed_at_once() {
    Partitioner partitioner = new Partitioner();
    Message message = Message.text("x");
    for (int i = 0; i < 100; i++) {
      partitioner.partitionFor(message, 50);
      assertThat(partitioner.partitionFor(message, 1)).isZero();
    }
  }

  @Test
  void records_with_a_key_do_not_move_the_others() {
    Partitioner partitioner = new Partitioner();
    int sticky = partitioner.partitionFor(Message.text("x"), 8);
    for (int i = 0; i < 1_000; i++) {
      partitioner.partitionFor(Message.bytes(new byte[1_000]).withKey("k" + i), 8);
    }
    assertThat(partitioner.partitionFor(Message.text("x"), 8)).isEqualTo(sticky);
  }
}
