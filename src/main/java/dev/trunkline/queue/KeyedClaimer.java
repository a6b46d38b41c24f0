package dev.trunkline.queue;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Claims by turns, from a queue where messages wait by key, and closes the keys that it finds
 * empty. Thread-safe.
 */
final class KeyedClaimer {
  private static final Logger LOG = LoggerFactory.getLogger(KeyedClaimer.class);

  /** Messages of a key in one claim: so long a key may keep one handler busy. */
  static final int MAX_PER_KEY = 32;

  /** Turns that a claim takes up even if few would do: they may be empty. */
  private static final int FEW_TURNS = 16;

  /** Claims in a row that find turns, but nothing to deliver. */
  private static final int ROUNDS = 20;

  private final Database database;
  private final QueueRow queue;
  private final ConsumerIdentity consumer;
  private final Lanes lanes;
  private final Wakeups wakeups;
  private final Settler settler;
  private final DueTime expiry;
  private final int maxPerKey;
  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  /** Messages per turn, a moving average. */
  private volatile double messagesPerTurn = 1;

  /**
   * For one queue.
   *
   * @param maxPerKey messages of a key in one claim
   */
  KeyedClaimer(Engine engine, QueueRow queue, int maxPerKey) {
    this.database = engine.database();
    this.queue = queue;
    this.consumer = engine.consumer();
    this.lanes = engine.signals().lanes(queue.id());
    this.wakeups = engine.wakeups();
    this.settler = engine.settler();
    this.expiry = engine.expiry();
    this.maxPerKey = maxPerKey;
  }

  /** Claims once; see {@link Claimer#claim}. */
  Claimer.Claim claim(int maxMessages, long maxBytes, Optional<Duration> visibilityTimeout) {
    Claimer.Claim claim = new Claimer.Claim(List.of(), false);
    for (int round = 0; round < ROUNDS; round++) {
      claim = claimOnce(maxMessages, maxBytes, visibilityTimeout);
      if (!claim.deliveries().isEmpty() || claim.exhausted()) {
        break;
      }
    }
    return claim;
  }

  private Claimer.Claim claimOnce(
      int maxMessages, long maxBytes, Optional<Duration> visibilityTimeout) {
    int enough = (int) Math.ceil(maxMessages / messagesPerTurn);
    int maxTurns = Math.min(Math.max(FEW_TURNS, enough), Claimer.MAX_MESSAGES);
    boolean everything = everything();
    KeyedClaim.Request request =
        new KeyedClaim.Request(
            queue.id(),
            consumer.id(),
            visibilityTimeout.map(Duration::toMillis).orElse(-1L),
            maxMessages,
            maxBytes,
            new KeyedClaim.Depth(maxTurns, Math.min(maxPerKey, maxMessages), everything));
    Lanes.Attempt attempt = lanes.begin();
    long begin = System.nanoTime();
    List<KeyedClaim.Found> found;
    try {
      found =
          database.run(
              session ->
                  queue.config().ordering().isFifo()
                      ? FifoClaimStore.claim(session, request, attempt)
                      : FairClaimStore.claim(session, request, attempt));
    } catch (RuntimeException | Error e) {
      lanes.failed();
      throw e;
    }
    if (everything) {
      spent(Duration.ofNanos(System.nanoTime() - begin));
    }
    List<KeyedClaim.Turn> turns = new ArrayList<>();
    List<ClaimStore.Claimed> messages = new ArrayList<>();
    for (KeyedClaim.Found one : found) {
      KeyedClaim.Turn turn = one.turn();
      if (turn != null) {
        turns.add(turn);
      }
      ClaimStore.Claimed message = one.message();
      if (message != null) {
        messages.add(message);
      }
    }
    turns.sort(Comparator.comparingLong(KeyedClaim.Turn::seq));
    messages.sort(
        Comparator.comparingLong(ClaimStore.Claimed::leaseId)
            .thenComparingLong(ClaimStore.Claimed::position));
    boolean exhausted = understand(attempt, turns, messages.size(), maxTurns);
    return new Claimer.Claim(deliveries(messages), exhausted);
  }

  private boolean understand(
      Lanes.Attempt attempt, List<KeyedClaim.Turn> turns, int messages, int maxTurns) {
    List<KeyedClaim.Turn> old = with(turns, KeyedClaim.Fate.NEXT, false);
    List<KeyedClaim.Turn> left = with(turns, KeyedClaim.Fate.LEFT, true);
    List<KeyedClaim.Turn> next = with(turns, KeyedClaim.Fate.NEXT, true);
    List<KeyedClaim.Turn> empty = with(turns, KeyedClaim.Fate.EMPTY, true);
    // What is left for a moment is no reason to look again at once, unless there was something.
    boolean more = messages > 0 && !(left.isEmpty() && next.isEmpty());
    boolean exhausted = old.size() < maxTurns && !more;
    lanes.finished(
        attempt,
        old.stream().map(turn -> new Lanes.Taken(0, turn.seq(), true)).toList(),
        old.size() < maxTurns);
    // They are where they were, below where the next claim would begin.
    left.forEach(turn -> lanes.appeared(announced(turn)));
    empty.forEach(turn -> lanes.appeared(announced(turn)));
    if (!next.isEmpty()) {
      wakeups.ready(
          queue.id(),
          List.of(new Lanes.Announced(0, next.get(0).seq(), next.get(next.size() - 1).seq())));
    }
    with(turns, KeyedClaim.Fate.LATER, true).forEach(turn -> wakeups.dueIn(turn.dueInMs()));
    if (messages > 0) {
      double perTurn = (double) messages / Math.max(1, old.size());
      messagesPerTurn = Math.max(1, 0.5 * messagesPerTurn + 0.5 * perTurn);
    }
    if (!empty.isEmpty()) {
      close(empty);
    }
    return exhausted;
  }

  private static List<KeyedClaim.Turn> with(
      List<KeyedClaim.Turn> turns, KeyedClaim.Fate fate, boolean is) {
    return turns.stream().filter(turn -> (turn.fate() == fate) == is).toList();
  }

  private static Lanes.Announced announced(KeyedClaim.Turn turn) {
    return new Lanes.Announced(0, turn.seq(), turn.seq());
  }

  /** What has been claimed must not be forgotten because this failed; others will close them. */
  private void close(List<KeyedClaim.Turn> empty) {
    long[] seqs = empty.stream().mapToLong(KeyedClaim.Turn::seq).distinct().toArray();
    try {
      KeyStore.Closed closed = database.run(session -> KeyStore.close(session, queue.id(), seqs));
      if (closed.first() > 0) {
        wakeups.ready(queue.id(), List.of(new Lanes.Announced(0, closed.first(), closed.last())));
      }
      if (closed.dueInMs() >= 0) {
        wakeups.dueIn(closed.dueInMs());
      }
    } catch (DatabaseException e) {
      LOG.info("{}: keys were not closed, it is tried again: {}", queue.name(), e.getMessage());
    }
  }

  private List<Delivery> deliveries(List<ClaimStore.Claimed> messages) {
    Map<Long, List<ClaimStore.Claimed>> byLease = new LinkedHashMap<>();
    messages.forEach(
        message ->
            byLease.computeIfAbsent(message.leaseId(), id -> new ArrayList<>()).add(message));
    List<Delivery> deliveries = new ArrayList<>(messages.size());
    byLease.forEach(
        (leaseId, some) -> {
          Duration hiddenFor = Duration.ofMillis(some.get(0).hiddenForMs());
          Lease lease =
              new Lease(
                  leaseId,
                  queue.id(),
                  hiddenFor,
                  some.stream().map(ClaimStore.Claimed::id).toList());
          if (queue.config().ordering().isFifo()) {
            lease.ofKey();
          }
          expiry.in(hiddenFor.toMillis());
          List<Long> missing = new ArrayList<>();
          for (ClaimStore.Claimed message : some) {
            MessageRow row = message.row();
            if (row == null) {
              missing.add(message.id());
            } else {
              deliveries.add(new Delivery(queue.name(), lease, message, row, settler));
            }
          }
          if (!missing.isEmpty()) {
            settler.dropMissing(lease, missing);
          }
        });
    return deliveries;
  }

  private synchronized boolean everything() {
    return budget.allows();
  }

  private synchronized void spent(Duration cost) {
    budget.spent(cost);
  }
}
