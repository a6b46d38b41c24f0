package dev.trunkline.queue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * In which order claims look through the lanes of a queue whose messages rise by one priority each
 * time they have waited for a while. Thread-safe.
 *
 * <p>A lane is in the order of its places in line, so what has waited for longest is its beginning.
 * Marks say up to which place that is true; they cut a lane into bands, and the bands of all lanes
 * are looked through from the highest level down. Within a level the bands that have waited for
 * longer go first.
 */
final class Ageing {
  /** What has waited for so many levels' time goes before everything that is new. */
  static final int LEVELS = 10;

  private static final Duration SHORTEST = Duration.ofMillis(250);

  private final int queueId;
  private final Duration perLevel;

  /** Per level, beginning with one, the place below which all has waited so long. Descending. */
  private volatile long[] below = new long[0];

  private volatile long dueNanos = System.nanoTime();

  Ageing(int queueId, Duration perLevel) {
    this.queueId = queueId;
    this.perLevel = perLevel;
  }

  int queueId() {
    return queueId;
  }

  Duration perLevel() {
    return perLevel;
  }

  /** How often a mark is made: a level is gained so much late at most. */
  Duration every() {
    Duration eighth = perLevel.dividedBy(8);
    return eighth.compareTo(SHORTEST) < 0 ? SHORTEST : eighth;
  }

  /** How long until the next mark is due; zero if it is. */
  Duration dueIn() {
    long left = dueNanos - System.nanoTime();
    return left <= 0 ? Duration.ZERO : Duration.ofNanos(left);
  }

  /** The marks as they are now. */
  void marked(long[] places) {
    below = places.clone();
    dueNanos = System.nanoTime() + every().toNanos();
  }

  /** The same ranges, cut and put into the order in which their messages are to be delivered. */
  List<Lanes.Range> inOrder(List<Lanes.Range> ranges) {
    long[] marks = below;
    List<Band> bands = new ArrayList<>();
    for (Lanes.Range range : ranges) {
      for (int level = marks.length; level >= 0; level--) {
        long from = level == marks.length ? 0 : marks[level];
        long to = level == 0 ? Long.MAX_VALUE : marks[level - 1];
        Lanes.Range part =
            new Lanes.Range(
                range.priority(), Math.max(from, range.from()), Math.min(to, range.to()));
        if (part.from() < part.to()) {
          bands.add(new Band(level, part));
        }
      }
    }
    // Stable: what is equal in both is of one lane, and stays in its order.
    bands.sort(
        Comparator.comparingInt((Band band) -> band.level() + band.range().priority())
            .thenComparingInt(Band::level)
            .reversed());
    return bands.stream().map(Band::range).toList();
  }

  private record Band(int level, Lanes.Range range) {}
}
