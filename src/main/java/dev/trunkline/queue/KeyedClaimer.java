package dev.trunkline.queue;

import dev.trunkline.error.DatabaseException;
import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.DueTime;
import dev.trunkline.internal.loop.ProbeBudget;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
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
  private final FlowWatch flowWatch;
  private final Optional<FlowGate> gate;
  private final int maxPerKey;
  private final ProbeBudget budget = new ProbeBudget(System::nanoTime);

  /** Messages per turn, a moving average. */
  private volatile double messagesPerTurn = 1;

  /**
   * For one queue.
   *
   * @param gate what limits its claims
   * @param maxPerKey messages of a key in one claim
   */
  KeyedClaimer(Engine engine, QueueRow queue, Optional<FlowGate> gate, int maxPerKey) {
    this.database = engine.database();
    this.queue = queue;
    this.consumer = engine.consumer();
    this.lanes = engine.signals().lanes(queue.id());
    this.wakeups = engine.wakeups();
    this.settler = engine.settler();
    this.expiry = engine.expiry();
    this.flowWatch = engine.flowWatch();
    this.gate = gate;
    this.maxPerKey = maxPerKey;
  }

  /** Claims once; see {@link Claimer#claim}. */
  Claimer.Claim claim(int maxMessages, long maxBytes, Optional<Duration> visibilityTimeout) {
    Claimer.Claim claim = new Claimer.Claim(List.of(), false, Duration.ZERO);
    for (int round = 0; round < ROUNDS; round++) {
      claim = claimOnce(maxMessages, maxBytes, visibilityTimeout);
      if (!claim.deliveries().isEmpty() || claim.exhausted() || !claim.heldFor().isZero()) {
        break;
      }
    }
    return claim;
  }

  private Claimer.Claim claimOnce(
      int maxMessages, long maxBytes, Optional<Duration> visibilityTimeout) {
    long timeoutMs = visibilityTimeout.map(Duration::toMillis).orElse(-1L);
    long askedNanos = System.nanoTime();
    AtomicBoolean begun = new AtomicBoolean();
    FlowGate.Claiming<Round> claiming =
        (session, messages) -> {
          KeyedClaim.Request request = request(messages, maxBytes, timeoutMs);
          Lanes.Attempt attempt = lanes.begin();
          begun.set(true);
          return new Round(request, attempt, take(session, request, attempt));
        };
    FlowGate.Passed<Round> passed;
    try {
      passed =
          gate.isPresent()
              ? gate.get().pass(maxMessages, claiming, Round::messages)
              : new FlowGate.Passed<>(
                  Optional.of(database.run(session -> claiming.claim(session, maxMessages))),
                  Duration.ZERO);
    } catch (RuntimeException | Error e) {
      if (begun.get()) {
        lanes.failed();
      }
      throw e;
    }
    return passed
        .claimed()
        .map(round -> claimed(round, passed.heldFor(), askedNanos))
        .orElseGet(() -> new Claimer.Claim(List.of(), false, passed.heldFor()));
  }

  /** What was asked for, and came of it. */
  private record Round(
      KeyedClaim.Request request, Lanes.Attempt attempt, List<KeyedClaim.Found> found) {
    int messages() {
      return (int) found.stream().filter(one -> one.message() != null).count();
    }
  }

  private KeyedClaim.Request request(int maxMessages, long maxBytes, long visibilityTimeoutMs) {
    int enough = (int) Math.ceil(maxMessages / messagesPerTurn);
    int maxTurns = Math.min(Math.max(FEW_TURNS, enough), Claimer.MAX_MESSAGES);
    return new KeyedClaim.Request(
        queue.id(),
        consumer.id(),
        visibilityTimeoutMs,
        maxMessages,
        maxBytes,
        new KeyedClaim.Depth(maxTurns, Math.min(maxPerKey, maxMessages), everything()));
  }

  private List<KeyedClaim.Found> take(
      Session session, KeyedClaim.Request request, Lanes.Attempt attempt) {
    long begin = System.nanoTime();
    List<KeyedClaim.Found> found =
        queue.config().ordering().isFifo()
            ? FifoClaimStore.claim(session, request, attempt)
            : FairClaimStore.claim(session, request, attempt);
    if (request.depth().everything()) {
      spent(Duration.ofNanos(System.nanoTime() - begin));
    }
    return found;
  }

  private Claimer.Claim claimed(Round round, Duration heldFor, long askedNanos) {
    List<KeyedClaim.Turn> turns = new ArrayList<>();
    List<ClaimStore.Claimed> messages = new ArrayList<>();
    for (KeyedClaim.Found one : round.found()) {
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
    boolean exhausted =
        understand(round.attempt(), turns, messages.size(), round.request().depth().maxTurns());
    if (!messages.isEmpty()) {
      flowWatch.claimed(queue.id());
    }
    advance(round.found());
    return new Claimer.Claim(deliveries(messages, askedNanos), exhausted, heldFor);
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

  /** Finds out where the lines begin of keys that have come far, unless a sender is in the way. */
  private void advance(List<KeyedClaim.Found> found) {
    long[] worth =
        found.stream()
            .filter(KeyedClaim.Found::far)
            .map(KeyedClaim.Found::message)
            .filter(Objects::nonNull)
            .mapToLong(ClaimStore.Claimed::leaseId)
            .distinct()
            .toArray();
    if (worth.length == 0) {
      return;
    }
    try {
      database.run(session -> KeyStore.advance(session, worth));
    } catch (DatabaseException e) {
      LOG.info("{}: a line is walked for longer: {}", queue.name(), e.getMessage());
    }
  }

  private List<Delivery> deliveries(List<ClaimStore.Claimed> messages, long askedNanos) {
    Map<Long, List<ClaimStore.Claimed>> byLease = new LinkedHashMap<>();
    messages.forEach(
        message ->
            byLease.computeIfAbsent(message.leaseId(), id -> new ArrayList<>()).add(message));
    List<Delivery> deliveries = new ArrayList<>(messages.size());
    byLease.values().forEach(some -> deliveries.addAll(ofLease(some, askedNanos)));
    return deliveries;
  }

  private List<Delivery> ofLease(List<ClaimStore.Claimed> messages, long askedNanos) {
    Duration hiddenFor = Duration.ofMillis(messages.get(0).hiddenForMs());
    Lease lease =
        new Lease(
            messages.get(0).leaseId(),
            queue.id(),
            hiddenFor,
            messages.stream().map(ClaimStore.Claimed::id).toList());
    long countedFrom = askedNanos;
    if (queue.config().ordering().isFifo()) {
      lease.ofKey();
      // What is taken for expired is gone for certain, so rather a moment late than early.
      countedFrom = System.nanoTime();
    }
    expiry.in(hiddenFor.toMillis());
    List<Delivery> deliveries = new ArrayList<>(messages.size());
    List<Long> missing = new ArrayList<>();
    List<Settlement> expired = new ArrayList<>();
    for (ClaimStore.Claimed message : messages) {
      MessageRow row = message.row();
      if (row == null) {
        missing.add(message.id());
        continue;
      }
      Delivery delivery = new Delivery(queue.name(), lease, message, row, settler, countedFrom);
      if (delivery.isExpired()) {
        expired.add(new Settlement(delivery, new Verdict.Expired()));
      } else {
        deliveries.add(delivery);
      }
    }
    if (!missing.isEmpty()) {
      settler.dropMissing(lease, missing);
    }
    settler.dropExpired(expired);
    return deliveries;
  }

  private synchronized boolean everything() {
    return budget.allows();
  }

  private synchronized void spent(Duration cost) {
    budget.spent(cost);
  }
}
