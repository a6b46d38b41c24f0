package dev.trunkline.queue;

import dev.trunkline.message.Message;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.UnaryOperator;

/**
 * Where the claims of one queue begin: the low-water hints of its ten priorities, shared by all
 * that claim from the queue in this process. Thread-safe.
 *
 * <p>Only speed rests on the hints. What they miss is found by the {@link Pulse}, which looks below
 * them.
 */
final class Lanes {
  /*
   * A claim walks the index from where it is told to. Below the frontier everything has been claimed as far as this
   * process knows; its index entries are dead but, while any old snapshot is held, cannot be removed. So claims start at
   * the frontier, plus at the places below it where something is known to have appeared since: a sender that took its
   * place in line early and committed late, or a run that another claimer had locked.
   *
   * An announcement may overtake a claim that is under way: the claim did not see the run, and then moves the frontier
   * beyond it. So what is announced while claims are under way is kept until they are done, and compared with what they
   * took.
   *
   * While this process is not saturated, claims start a little below the frontier: that picks up, without waiting for the
   * next look, what a claimer elsewhere had locked for the blink of an eye.
   */
  private static final long LAG_NANOS = 250_000_000L;

  /** Whoever claims again within this time has not gone away. */
  private static final long USE_NANOS = 60_000_000_000L;

  private final ReentrantLock lock = new ReentrantLock();
  private final Lane[] lanes = new Lane[Message.HIGHEST_PRIORITY + 1];
  private final List<Announced> announced = new ArrayList<>();
  private int underWay;
  private boolean saturated;
  private long laggedAt = System.nanoTime();
  private volatile long usedAt = System.nanoTime() - USE_NANOS;

  Lanes() {
    for (int priority = 0; priority < lanes.length; priority++) {
      lanes[priority] = new Lane();
    }
  }

  /** Runs of a priority, by their first and last place in line. */
  record Announced(int priority, long first, long last) {}

  /** Part of a lane, from a place up to, not including, another. */
  record Range(int priority, long from, long to) {}

  /** A run that a claim took from, and whether nothing of it is left. */
  record Taken(int priority, long seq, boolean whole) {}

  /** Where a claim looks, in this order. To be given back to {@link #finished}. */
  record Attempt(List<Range> ranges, int announcedBefore) {
    short[] priorities() {
      short[] priorities = new short[ranges.size()];
      for (int i = 0; i < priorities.length; i++) {
        priorities[i] = (short) ranges.get(i).priority();
      }
      return priorities;
    }

    long[] froms() {
      return ranges.stream().mapToLong(Range::from).toArray();
    }

    long[] tos() {
      return ranges.stream().mapToLong(Range::to).toArray();
    }
  }

  /** A claim begins: highest priority first, known stragglers before the rest. */
  Attempt begin() {
    return begin(ranges -> ranges);
  }

  /**
   * A claim begins that looks in another order.
   *
   * @param order may cut ranges and mix those of different priorities; within a priority the parts
   *     have to stay in their order
   */
  Attempt begin(UnaryOperator<List<Range>> order) {
    lock.lock();
    try {
      long now = System.nanoTime();
      usedAt = now;
      if (now - laggedAt > LAG_NANOS) {
        laggedAt = now;
        for (Lane lane : lanes) {
          lane.lag();
        }
      }
      List<Range> ranges = new ArrayList<>(lanes.length);
      for (int priority = lanes.length - 1; priority >= 0; priority--) {
        lanes[priority].addRanges(priority, saturated, ranges);
      }
      underWay++;
      return new Attempt(List.copyOf(order.apply(ranges)), announced.size());
    } finally {
      lock.unlock();
    }
  }

  /**
   * A claim is over.
   *
   * @param attempt what {@link #begin} answered
   * @param taken the runs it took from, in the order it found them
   * @param exhausted whether it found nothing more in its ranges
   */
  void finished(Attempt attempt, List<Taken> taken, boolean exhausted) {
    lock.lock();
    try {
      underWay--;
      saturated = !exhausted;
      int known = announced.size();
      forgetLookedThrough(attempt, taken, exhausted);
      for (Taken run : taken) {
        lanes[run.priority()].claimed(run.seq(), run.whole());
        if (!run.whole() && underWay > 0) {
          // The rest of the run is a new row, which claims that are under way do not see.
          announced.add(new Announced(run.priority(), run.seq(), run.seq()));
        }
      }
      Set<Long> places = new HashSet<>();
      taken.forEach(run -> places.add(run.seq()));
      for (Announced late : announced.subList(attempt.announcedBefore(), known)) {
        if (!(late.first() == late.last() && places.contains(late.first()))) {
          lanes[late.priority()].appeared(late.first(), late.last());
        }
      }
      if (underWay == 0) {
        announced.clear();
      }
    } finally {
      lock.unlock();
    }
  }

  /** A claim failed: nothing is known about what it would have found. */
  void failed() {
    lock.lock();
    try {
      underWay--;
      saturated = false;
      if (underWay == 0) {
        announced.clear();
      }
      for (Lane lane : lanes) {
        lane.forget();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Runs were committed, or found, at these places. */
  void appeared(Announced runs) {
    lock.lock();
    try {
      if (underWay > 0) {
        announced.add(runs);
      }
      lanes[runs.priority()].appeared(runs.first(), runs.last());
    } finally {
      lock.unlock();
    }
  }

  /** Forgets where claims begin: the next one begins at the beginning. */
  void startOver() {
    lock.lock();
    try {
      for (Lane lane : lanes) {
        lane.startOver();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether anybody has claimed in the last minute. */
  boolean areInUse() {
    return System.nanoTime() - usedAt < USE_NANOS;
  }

  /** Where a cheap look begins, per priority: a little below the frontier. */
  long[] floors() {
    lock.lock();
    try {
      long[] floors = new long[lanes.length];
      for (int priority = 0; priority < lanes.length; priority++) {
        floors[priority] = lanes[priority].floor();
      }
      return floors;
    } finally {
      lock.unlock();
    }
  }

  /** All ranges before the last one that something was taken from have been looked through. */
  private void forgetLookedThrough(Attempt attempt, List<Taken> taken, boolean exhausted) {
    for (Range range : attempt.ranges()) {
      if (!exhausted && !taken.isEmpty() && holds(range, taken.get(taken.size() - 1))) {
        Taken last = taken.get(taken.size() - 1);
        lanes[range.priority()].lookedThrough(range, last.whole() ? last.seq() + 1 : last.seq());
        return;
      }
      lanes[range.priority()].lookedThrough(range, range.to());
    }
  }

  private static boolean holds(Range range, Taken run) {
    return range.priority() == run.priority()
        && range.from() <= run.seq()
        && run.seq() < range.to();
  }

  /** One priority. Guarded by the lock of the lanes. */
  private static final class Lane {
    /** More ranges than this are merged into one: the claim's cost grows with their number. */
    private static final int MAX_STRAGGLERS = 8;

    private final List<Range> stragglers = new ArrayList<>();
    private long frontier;
    private long lagged;
    private long laggedTwice;

    void lag() {
      laggedTwice = lagged;
      lagged = frontier;
    }

    long floor() {
      return laggedTwice;
    }

    void forget() {
      frontier = laggedTwice;
      lagged = laggedTwice;
    }

    void startOver() {
      frontier = 0;
      lagged = 0;
      laggedTwice = 0;
      stragglers.clear();
    }

    void addRanges(int priority, boolean saturated, List<Range> ranges) {
      long from = saturated ? frontier : laggedTwice;
      for (Range straggler : stragglers) {
        if (straggler.from() < from) {
          ranges.add(new Range(priority, straggler.from(), Math.min(straggler.to(), from)));
        }
      }
      ranges.add(new Range(priority, from, Long.MAX_VALUE));
    }

    void claimed(long seq, boolean whole) {
      long next = whole ? seq + 1 : seq;
      if (next >= frontier) {
        frontier = next;
      } else if (!whole) {
        appeared(seq, seq);
      }
    }

    void lookedThrough(Range range, long upTo) {
      stragglers.replaceAll(
          known ->
              known.from() >= range.from() && known.from() < upTo
                  ? new Range(known.priority(), Math.min(upTo, known.to()), known.to())
                  : known);
      stragglers.removeIf(known -> known.from() >= known.to());
    }

    void appeared(long first, long last) {
      if (first >= frontier) {
        return;
      }
      stragglers.add(new Range(0, first, Math.min(last + 1, frontier)));
      stragglers.sort((a, b) -> Long.compare(a.from(), b.from()));
      List<Range> merged = new ArrayList<>();
      for (Range next : stragglers) {
        Range previous = merged.isEmpty() ? null : merged.get(merged.size() - 1);
        if (previous != null && (next.from() <= previous.to() || merged.size() == MAX_STRAGGLERS)) {
          merged.set(
              merged.size() - 1, new Range(0, previous.from(), Math.max(previous.to(), next.to())));
        } else {
          merged.add(next);
        }
      }
      stragglers.clear();
      stragglers.addAll(merged);
    }
  }
}
