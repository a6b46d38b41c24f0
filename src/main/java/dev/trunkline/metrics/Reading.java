package dev.trunkline.metrics;

import dev.trunkline.Trunkline;
import dev.trunkline.queue.QueueStats;
import dev.trunkline.topic.GroupLag;
import dev.trunkline.topic.PartitionLag;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * All values as they were when they were read.
 *
 * @param queues by name
 * @param lags how far groups are behind
 */
record Reading(Map<String, QueueStats> queues, Map<Subject.InPartition, PartitionLag> lags) {
  /** Where there is nothing yet. */
  static final Reading NOTHING = new Reading(Map.of(), Map.of());

  static Reading of(Trunkline trunkline) {
    Map<String, QueueStats> queues = trunkline.queueStats();
    Map<Subject.InPartition, PartitionLag> lags = new HashMap<>();
    for (GroupLag group : trunkline.groupLags()) {
      for (PartitionLag lag : group.partitions()) {
        lags.put(new Subject.InPartition(group.topic(), group.group(), lag.partition()), lag);
      }
    }
    return new Reading(queues, Map.copyOf(lags));
  }

  /** What there are values of. */
  Set<Subject> subjects() {
    Set<Subject> subjects = new LinkedHashSet<>(lags.keySet());
    queues.forEach(
        (name, stats) -> {
          subjects.add(new Subject.InQueue(name));
          if (stats.fullness().isPresent()) {
            subjects.add(new Subject.InBounds(name));
          }
        });
    return subjects;
  }
}
