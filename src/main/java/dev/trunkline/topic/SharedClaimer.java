package dev.trunkline.topic;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.ProbeBudget;
import dev.trunkline.internal.work.HeldLease;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Claims records of a shared group for this process: what waits and is due, then the next ones of a
 * partition. Claims go to different partitions as long as there are some. Thread-safe.
 */
final class SharedClaimer {
  private static final Logger LOG = LoggerFactory.getLogger(SharedClaimer.class);

  /** Records in one lease. */
  static final int MAX_RECORDS = 1000;

  private final SharedEngine engine;
  private final Database database;
  private final TopicRow topic;
  private final SharedMember member;
  private final SharedSettler settler;
  private final RecordReader reader;
  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  /** Where the next look begins, so that partitions take turns. */
  private final AtomicInteger firstPartition;

  SharedClaimer(SharedEngine engine, TopicRow topic, SharedMember member, SharedSettler settler) {
    this.engine = engine;
    this.database = engine.database();
    this.topic = topic;
    this.member = member;
    this.settler = settler;
    this.reader = new RecordReader(database);
    this.firstPartition =
        new AtomicInteger(ThreadLocalRandom.current().nextInt(topic.config().partitions()));
  }

  /**
   * What a claim got.
   *
   * @param busy whether there was something, but in other hands at that moment
   */
  record Claim(List<SharedDelivery> deliveries, boolean busy) {}

  /**
   * Claims once.
   *
   * @param maxRecords 1 to {@link #MAX_RECORDS}
   * @param maxBytes bound on the payloads together, as far as segments tell; one record is claimed
   *     whatever its size
   * @param visibilityTimeout how long they are hidden, or empty for what the group says
   * @param sure whether to look for waiting records even if none is known to be due
   */
  Claim claim(int maxRecords, long maxBytes, Optional<Duration> visibilityTimeout, boolean sure) {
    SharedClaimStore.Request request =
        new SharedClaimStore.Request(
            topic.id(),
            member.group().id(),
            member.id(),
            visibilityTimeout.map(Duration::toMillis).orElse(-1L),
            maxRecords,
            maxBytes);
    if (sure || member.untilDue().isZero()) {
      List<SharedClaimStore.Claimed> due = claimDue(request);
      if (!due.isEmpty()) {
        return new Claim(deliveries(due), false);
      }
    }
    List<SharedClaimStore.Claimed> claimed =
        database.run(session -> SharedClaimStore.claim(session, request, firstPartition.get()));
    SharedClaimStore.Claimed first = claimed.get(0);
    if (first.leaseId() < 0) {
      member.paused(first.paused());
      return new Claim(List.of(), first.busy());
    }
    firstPartition.set(first.partition() + 1);
    if (first.skipped() > 0) {
      LOG.warn(
          "{}: {} records of partition {} were dropped by retention before they were claimed",
          member.group().title(),
          first.skipped(),
          first.partition());
    }
    return new Claim(deliveries(claimed), false);
  }

  private synchronized List<SharedClaimStore.Claimed> claimDue(SharedClaimStore.Request request) {
    member.clearDue();
    boolean everything = budget.allows();
    long begin = System.nanoTime();
    List<SharedClaimStore.Claimed> due =
        database.run(session -> SharedClaimStore.claimDue(session, request, everything, null));
    if (everything && due.isEmpty()) {
      budget.spent(Duration.ofNanos(System.nanoTime() - begin));
    }
    database
        .run(session -> SharedClaimStore.nextDueInMs(session, request.groupId(), everything))
        .ifPresent(member::dueIn);
    return due;
  }

  /** A lease, and the rows of the claim that it holds. */
  private record Batch(HeldLease lease, List<SharedClaimStore.Claimed> rows) {
    static Batch of(List<SharedClaimStore.Claimed> rows) {
      SharedClaimStore.Claimed first = rows.get(0);
      HeldLease lease =
          new HeldLease(
              first.leaseId(),
              Duration.ofMillis(first.hiddenForMs()),
              rows.stream().map(SharedClaimStore.Claimed::id).toList());
      return new Batch(lease, rows);
    }
  }

  private List<SharedDelivery> deliveries(List<SharedClaimStore.Claimed> claimed) {
    Map<Long, List<SharedClaimStore.Claimed>> byLease = new LinkedHashMap<>();
    claimed.stream()
        .sorted(
            Comparator.comparingInt(SharedClaimStore.Claimed::partition)
                .thenComparingLong(SharedClaimStore.Claimed::offset))
        .forEach(row -> byLease.computeIfAbsent(row.leaseId(), id -> new ArrayList<>()).add(row));
    List<Batch> batches = byLease.values().stream().map(Batch::of).toList();
    engine.expiry().in(claimed.get(0).hiddenForMs());
    Map<SharedClaimStore.Claimed, TopicRecord> records;
    try {
      records = read(claimed);
    } catch (RuntimeException | Error e) {
      batches.forEach(batch -> giveBack(batch.lease(), e));
      throw e;
    }
    List<SharedDelivery> deliveries = new ArrayList<>(claimed.size());
    for (Batch batch : batches) {
      List<Long> missing = new ArrayList<>();
      for (SharedClaimStore.Claimed row : batch.rows()) {
        TopicRecord record = records.get(row);
        if (record == null) {
          missing.add(row.id());
        } else {
          deliveries.add(
              new SharedDelivery(member.group().name(), record, row, batch.lease(), settler));
        }
      }
      if (!missing.isEmpty()) {
        settler.dropMissing(batch.lease(), missing);
      }
    }
    return deliveries;
  }

  /** Nobody will handle it. If this fails too, it comes back when its time is over. */
  private void giveBack(HeldLease lease, Throwable failure) {
    try {
      settler.releaseUnread(lease);
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  private Map<SharedClaimStore.Claimed, TopicRecord> read(List<SharedClaimStore.Claimed> claimed) {
    Map<SharedClaimStore.Claimed, TopicRecord> records = new HashMap<>();
    List<SharedClaimStore.Claimed> back =
        claimed.stream().filter(row -> row.redeliveryId() >= 0).toList();
    if (!back.isEmpty()) {
      Map<Long, TopicRecord> copies = new HashMap<>();
      database
          .run(session -> SharedDeathStore.redelivered(session, member.group(), back))
          .forEach(copy -> copies.put(copy.redeliveryId(), copy.record()));
      back.forEach(
          row -> {
            TopicRecord copy = copies.get(row.redeliveryId());
            if (copy != null) {
              records.put(row, copy);
            }
          });
    }
    List<SharedClaimStore.Claimed> ofLog =
        claimed.stream().filter(row -> row.redeliveryId() < 0).toList();
    if (!ofLog.isEmpty()) {
      long[] ids = ofLog.stream().mapToLong(SharedClaimStore.Claimed::id).toArray();
      Arrays.sort(ids);
      Map<Long, RecordStore.Row> rows = new HashMap<>();
      reader.read(topic, ids).forEach(row -> rows.put(row.id(), row));
      ofLog.forEach(
          claim -> {
            RecordStore.Row row = rows.get(claim.id());
            if (row != null) {
              records.put(claim, record(claim, row));
            }
          });
    }
    return records;
  }

  private TopicRecord record(SharedClaimStore.Claimed claim, RecordStore.Row row) {
    return new TopicRecord(
        topic.name(),
        claim.partition(),
        claim.offset(),
        new RecordId(claim.partition(), row.id()),
        row.message(),
        row.sourceAt(),
        claim.appendedAt() == null ? row.sourceAt() : claim.appendedAt());
  }
}
