package dev.trunkline.crash;

import dev.trunkline.topic.Topic;
import dev.trunkline.topic.TopicRecord;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * What has ever been read of a topic, by whom ever: what was read at an offset is read there for
 * ever. Thread-safe.
 */
final class Readings {
  private static final int PAGE = 500;

  /** By "partition offset". */
  private final Map<String, String> texts = new ConcurrentHashMap<>();

  private final Set<String> changed = ConcurrentHashMap.newKeySet();

  /** A record was read. */
  void add(int partition, long offset, String text) {
    String place = partition + " " + offset;
    String before = texts.putIfAbsent(place, text);
    if (before != null && !before.equals(text)) {
      changed.add("%s was %s, is %s".formatted(place, before, text));
    }
  }

  /** Reads on, from where the last call with this map ended. */
  void readOn(Topic topic, Map<Integer, Long> positions) {
    for (int partition = 0; partition < topic.config().partitions(); partition++) {
      long from = positions.getOrDefault(partition, 0L);
      for (TopicRecord record : topic.read(partition, from, PAGE)) {
        add(partition, record.offset(), record.message().text());
        positions.put(partition, record.offset() + 1);
      }
    }
  }

  int size() {
    return texts.size();
  }

  /** What an offset changed into. */
  Set<String> changed() {
    return changed;
  }

  /** Reads all of it anew: every text by its offset, dense in each partition. */
  List<String> whole(Topic topic) {
    List<String> all = new ArrayList<>();
    Map<Integer, Long> positions = new HashMap<>();
    for (int partition = 0; partition < topic.config().partitions(); partition++) {
      List<TopicRecord> page;
      do {
        long from = positions.getOrDefault(partition, 0L);
        page = topic.read(partition, from, PAGE);
        for (TopicRecord record : page) {
          if (record.offset() != positions.getOrDefault(partition, 0L)) {
            changed.add("a gap before " + record);
          }
          add(partition, record.offset(), record.message().text());
          all.add(record.message().text());
          positions.put(partition, record.offset() + 1);
        }
      } while (!page.isEmpty());
    }
    return all;
  }

  /** Those that are there more than once. */
  static Set<String> twice(List<String> texts) {
    Set<String> once = new HashSet<>();
    Set<String> twice = new HashSet<>();
    texts.forEach(text -> (once.add(text) ? new HashSet<String>() : twice).add(text));
    return twice;
  }

  /** Null, if nothing was read there. */
  @Nullable String at(int partition, long offset) {
    return texts.get(partition + " " + offset);
  }
}
