package dev.trunkline.topic;

import dev.trunkline.error.OffsetOutOfRangeException;
import dev.trunkline.error.TrunklineException;
import dev.trunkline.topic.GroupPulseStore.Claim;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The partitions that a member has that pulls: takes them up, hands them over, reads them. Not
 * thread-safe: its consumer's lock is held.
 */
final class PulledPartitions {
  private static final Logger LOG = LoggerFactory.getLogger(PulledPartitions.class);

  private final TopicEngine engine;
  private final TopicRow topic;
  private final GroupRow group;
  private final Committer committer;
  private final Holdings<Held> holdings = new Holdings<>(held -> held);
  private final Set<Integer> paused = new HashSet<>();
  private final Set<Integer> takenAway = new TreeSet<>();
  private int lastRead = -1;

  PulledPartitions(TopicEngine engine, TopicRow topic, GroupRow group, Committer committer) {
    this.engine = engine;
    this.topic = topic;
    this.group = group;
    this.committer = committer;
  }

  Holdings<Held> holdings() {
    return holdings;
  }

  /** Makes what is held what the database says, and tells the listener. */
  void adapt(Membership membership, PartitionListener listener, GroupConsumer consumer) {
    Membership.View view = membership.view();
    TrunklineException end = membership.end();
    Membership.Difference difference = holdings.differenceTo(view);
    Set<Integer> lost = new TreeSet<>(takenAway);
    lost.addAll(difference.lost());
    takenAway.clear();
    difference.lost().forEach(this::forget);
    if (!lost.isEmpty()) {
      listener.onLost(consumer, lost);
    }
    if (end != null) {
      throw end;
    }
    if (!difference.wanted().isEmpty()) {
      try {
        listener.onRevoked(consumer, new TreeSet<>(difference.wanted()));
      } finally {
        release(difference.wanted());
      }
    }
    if (!difference.gained().isEmpty()) {
      takeUp(view, difference.gained());
      Set<Integer> gained = new TreeSet<>();
      difference.gained().forEach(claim -> gained.add(claim.partition()));
      listener.onAssigned(consumer, gained);
    }
  }

  private void takeUp(Membership.View view, List<Claim> gained) {
    Map<Integer, Long> committed =
        committer.committed(gained.stream().map(Claim::partition).toList());
    for (Claim claim : gained) {
      long offset = committed.getOrDefault(claim.partition(), 0L);
      holdings.take(claim, new Held(claim.partition(), view.memberId(), claim.epoch(), offset));
    }
  }

  /** Others have waited for too long: they get what they wait for, and the listener hears later. */
  void takeAwayWanted(Membership membership) {
    List<Integer> wanted = holdings.differenceTo(membership.view()).wanted();
    if (!wanted.isEmpty()) {
      LOG.warn(
          "{}: partitions {} were not polled for longer than {}, others take them over",
          group.title(),
          wanted,
          membership.config().maxPollInterval());
      takenAway.addAll(wanted);
      release(wanted);
    }
  }

  private void release(Collection<Integer> partitions) {
    List<Held> going = holdings.held(partitions);
    partitions.forEach(this::forget);
    committer.release(going.stream().map(held -> new Committer.Step(held, -1)).toList());
  }

  private void forget(int partition) {
    holdings.giveUp(partition);
    paused.remove(partition);
  }

  void forgetAll() {
    holdings.partitions().forEach(this::forget);
  }

  void pause(int partition) {
    paused.add(partition);
  }

  void resume(int partition) {
    paused.remove(partition);
  }

  /** The next records, wherever there are any; partitions take turns. */
  List<TopicRecord> read(PollOptions options) {
    List<TopicRecord> records = new ArrayList<>();
    boolean moved = true;
    while (records.isEmpty() && moved) {
      moved = readInTurn(options, records);
    }
    return records;
  }

  /** Answers whether any position has changed: that happens without a record, too. */
  private boolean readInTurn(PollOptions options, List<TopicRecord> records) {
    boolean moved = false;
    long bytes = 0;
    for (Held held : inTurn()) {
      int room = options.maxRecords() - records.size();
      if (room <= 0 || bytes >= options.maxBytes()) {
        break;
      }
      long before = held.position();
      try {
        LogReader.Page page =
            engine.tail(topic).read(held.partition(), before, room, options.maxBytes() - bytes);
        records.addAll(page.records());
        bytes += page.records().stream().mapToLong(r -> r.message().payload().length).sum();
        held.moveTo(page.next());
        lastRead = held.partition();
      } catch (OffsetOutOfRangeException e) {
        outOfRange(held, e, records.isEmpty());
      }
      moved |= held.position() != before;
    }
    return moved;
  }

  private void outOfRange(Held held, OffsetOutOfRangeException e, boolean mayThrow) {
    switch (group.agreed().outOfRange()) {
      case FAIL -> {
        if (mayThrow) {
          throw e;
        }
      }
      case EARLIEST -> goOnAt(held, e, e.first());
      case LATEST -> goOnAt(held, e, e.end());
    }
  }

  private void goOnAt(Held held, OffsetOutOfRangeException e, long offset) {
    LOG.warn("{}: {}; it goes on at {}", group.title(), e.getMessage(), offset);
    held.moveTo(offset);
  }

  /** Those with something to read, beginning after the one that had its turn last. */
  private List<Held> inTurn() {
    List<Long> ends = engine.tail(topic).bounds().ends();
    List<Held> ready = new ArrayList<>();
    List<Held> later = new ArrayList<>();
    for (Held held : holdings.held(holdings.partitions())) {
      int partition = held.partition();
      boolean atEnd = partition >= ends.size() || held.position() == ends.get(partition);
      if (!atEnd && !paused.contains(partition)) {
        (partition > lastRead ? ready : later).add(held);
      }
    }
    ready.addAll(later);
    return ready;
  }
}
