package dev.trunkline.topic;

import dev.trunkline.error.OffsetOutOfRangeException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The records of one partition as its holder reads them: page by page, in order. */
final class PartitionPages {
  private static final Logger LOG = LoggerFactory.getLogger(PartitionPages.class);

  private final PartitionFlow.Feed feed;
  private final Held held;
  private volatile boolean outOfRange;

  // Of the worker that runs the partition.
  private List<TopicRecord> page = List.of();
  private int next;
  private long pageEnd;
  private long oneByOneUntil;

  PartitionPages(PartitionFlow.Feed feed, Held held) {
    this.feed = feed;
    this.held = held;
  }

  /** Whether there may be records that were not handled, as far as this process knows. */
  boolean mayHaveMore() {
    List<Long> ends = feed.engine().tail(feed.topic()).bounds().ends();
    int partition = held.partition();
    return partition < ends.size() && held.position() != ends.get(partition) && !outOfRange;
  }

  /** Whether there are records in hand. */
  boolean hasNext() {
    return next < page.size();
  }

  /**
   * Reads the next page, if there is none in hand.
   *
   * @return the offset to go on from where that is not the next record in hand: compaction has left
   *     nothing of the page, or the position was out of range; else the position
   */
  long fill() {
    if (hasNext()) {
      return held.position();
    }
    try {
      LogReader.Page read =
          feed.engine()
              .tail(feed.topic())
              .read(
                  held.partition(),
                  held.position(),
                  feed.config().pageRecords(),
                  feed.config().pageBytes());
      page = read.records();
      pageEnd = read.next();
      next = 0;
      return page.isEmpty() ? pageEnd : held.position();
    } catch (OffsetOutOfRangeException e) {
      return outOfRange(e);
    }
  }

  private long outOfRange(OffsetOutOfRangeException e) {
    return switch (feed.group().agreed().outOfRange()) {
      case FAIL -> {
        outOfRange = true;
        LOG.error(
            "{}: {}; the partition stands still until the group is reset",
            feed.group().title(),
            e.getMessage());
        yield held.position();
      }
      case EARLIEST -> goOnAt(e, e.first());
      case LATEST -> goOnAt(e, e.end());
    };
  }

  private long goOnAt(OffsetOutOfRangeException e, long offset) {
    LOG.warn("{}: {}; it goes on at {}", feed.group().title(), e.getMessage(), offset);
    return offset;
  }

  /** The records to be handled together: one, or as many as there are up to one that is special. */
  List<TopicRecord> chunk(FailureDesk failures) {
    TopicRecord first = page.get(next);
    if (!feed.handling().batched() || first.offset() < oneByOneUntil || failures.isSpecial(first)) {
      return List.of(first);
    }
    int end = next + 1;
    while (end < page.size() && !failures.isSpecial(page.get(end))) {
      end++;
    }
    return List.copyOf(page.subList(next, end));
  }

  /** The offset to go on from after so many records. */
  long positionAfter(int records) {
    int after = next + records;
    return after == page.size() ? pageEnd : page.get(after).offset();
  }

  /** Records were handled, or given up. */
  void pass(int records) {
    next += records;
  }

  /** All records before an offset turned out to have been handled. */
  void passUpTo(long offset) {
    while (hasNext() && page.get(next).offset() < offset) {
      next++;
    }
  }

  /** No batches up to an offset: one of the records before it is at fault. */
  void oneByOneUntil(long offset) {
    oneByOneUntil = offset;
  }
}
