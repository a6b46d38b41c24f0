package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Session;
import dev.trunkline.internal.loop.DueTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Claims messages of one queue for this process: from ready into a lease, one statement each time.
 * Thread-safe.
 */
final class Claimer {
  /** Messages in one lease. */
  static final int MAX_MESSAGES = 1000;

  private final Database database;
  private final QueueRow queue;
  private final ConsumerIdentity consumer;
  private final Lanes lanes;
  private final Settler settler;
  private final DueTime expiry;
  private final boolean deletes;
  private final FlowWatch flowWatch;
  private final Optional<FlowGate> gate;
  private final UnaryOperator<List<Lanes.Range>> order;
  private final @Nullable KeyedClaimer byTurns;

  private final Gathering gathering = new Gathering(System::nanoTime);

  /**
   * Messages per run, a moving average: how many rows a claim has to lock for what it was asked.
   */
  private volatile double messagesPerRun = 1;

  /** Claims into leases. */
  Claimer(Engine engine, QueueRow queue) {
    this(engine, queue, false, KeyedClaimer.MAX_PER_KEY);
  }

  private Claimer(Engine engine, QueueRow queue, boolean deletes, int maxPerKey) {
    this.database = engine.database();
    this.queue = queue;
    this.consumer = engine.consumer();
    this.lanes = engine.signals().lanes(queue.id());
    this.settler = engine.settler();
    this.expiry = engine.expiry();
    this.deletes = deletes;
    this.flowWatch = engine.flowWatch();
    this.order =
        queue
            .config()
            .flowRules()
            .priorityAgeing()
            .map(perLevel -> flowWatch.ageing(queue.id(), perLevel))
            .<UnaryOperator<List<Lanes.Range>>>map(ageing -> ageing::inOrder)
            .orElse(UnaryOperator.identity());
    this.gate =
        queue.config().flowRules().limitClaims()
            ? Optional.of(new FlowGate(engine, queue))
            : Optional.empty();
    this.byTurns =
        queue.config().ordering().isKeyed()
            ? new KeyedClaimer(engine, queue, gate, maxPerKey)
            : null;
  }

  /** Claims for good: what it answers is deleted, and settled. */
  static Claimer deleting(Engine engine, QueueRow queue) {
    return new Claimer(engine, queue, true, 0);
  }

  /** Claims into leases that can be settled one by one: a key has one message in its lease. */
  static Claimer singly(Engine engine, QueueRow queue) {
    return new Claimer(
        engine, queue, false, queue.config().ordering().isFifo() ? 1 : KeyedClaimer.MAX_PER_KEY);
  }

  /**
   * What a claim got.
   *
   * @param deliveries in the order of delivery
   * @param exhausted whether there was nothing more, as far as could be seen
   * @param heldFor how long until the queue's rules may let more through; zero if they are not what
   *     holds it up
   */
  record Claim(List<Delivery> deliveries, boolean exhausted, Duration heldFor) {}

  /** Claims only what this candidate is entitled to; before the first claim. */
  void electedBy(Election election) {
    gate.ifPresent(through -> through.opensFor(election));
  }

  /** How long it would be of no use to claim, by the queue's rules; zero if it may be. */
  Duration heldFor() {
    return gate.map(FlowGate::heldFor).orElse(Duration.ZERO);
  }

  /** How a claim that nobody is in a hurry for waits a moment, so that it finds more. */
  Gathering gathering() {
    return gathering;
  }

  /**
   * Claims once.
   *
   * @param maxMessages 1 to {@link #MAX_MESSAGES}
   * @param maxBytes bound on the payloads together; one message is claimed whatever its size
   * @param visibilityTimeout how long they are hidden, or empty for what the queue says
   */
  Claim claim(int maxMessages, long maxBytes, Optional<Duration> visibilityTimeout) {
    if (byTurns != null) {
      return byTurns.claim(maxMessages, maxBytes, visibilityTimeout);
    }
    long askedNanos = System.nanoTime();
    ClaimStore.Request request =
        new ClaimStore.Request(
            queue.id(),
            consumer.id(),
            visibilityTimeout.map(Duration::toMillis).orElse(-1L),
            maxMessages,
            maxRuns(maxMessages),
            maxBytes);
    if (gate.isPresent()) {
      return claimThrough(gate.get(), request, askedNanos);
    }
    Lanes.Attempt attempt = lanes.begin(order);
    List<ClaimStore.Claimed> claimed;
    try {
      claimed = database.run(session -> take(session, request, attempt));
    } catch (RuntimeException | Error e) {
      lanes.failed();
      throw e;
    }
    return claimed(request, attempt, claimed, Duration.ZERO, askedNanos);
  }

  /** Claims as much as the queue's rules allow. */
  private Claim claimThrough(FlowGate through, ClaimStore.Request request, long askedNanos) {
    AtomicReference<Lanes.@Nullable Attempt> begun = new AtomicReference<>();
    FlowGate.Passed<Round> passed;
    try {
      passed =
          through.pass(
              request.maxMessages(),
              (session, messages) -> {
                ClaimStore.Request allowed = request.withMessages(messages, maxRuns(messages));
                Lanes.Attempt attempt = lanes.begin(order);
                begun.set(attempt);
                return new Round(allowed, attempt, take(session, allowed, attempt));
              },
              round -> round.claimed().size());
    } catch (RuntimeException | Error e) {
      if (begun.get() != null) {
        lanes.failed();
      }
      throw e;
    }
    return passed
        .claimed()
        .map(
            round ->
                claimed(
                    round.request(),
                    round.attempt(),
                    round.claimed(),
                    passed.heldFor(),
                    askedNanos))
        .orElseGet(() -> new Claim(List.of(), false, passed.heldFor()));
  }

  /** What was asked for, and came of it. */
  private record Round(
      ClaimStore.Request request, Lanes.Attempt attempt, List<ClaimStore.Claimed> claimed) {}

  private int maxRuns(int maxMessages) {
    return (int) Math.max(1, Math.ceil(maxMessages / messagesPerRun));
  }

  private List<ClaimStore.Claimed> take(
      Session session, ClaimStore.Request request, Lanes.Attempt attempt) {
    return deletes
        ? AtMostOnceStore.claimAndDelete(session, request, attempt)
        : ClaimStore.claim(session, request, attempt);
  }

  private Claim claimed(
      ClaimStore.Request request,
      Lanes.Attempt attempt,
      List<ClaimStore.Claimed> found,
      Duration heldFor,
      long askedNanos) {
    // A result has no order unless it is asked for, and sorting payloads is better done here.
    List<ClaimStore.Claimed> claimed = new ArrayList<>(found);
    claimed.sort(Comparator.comparingLong(ClaimStore.Claimed::position));
    boolean exhausted = understand(attempt, claimed, request.maxRuns());
    gathering.claimed(claimed.size(), exhausted && claimed.size() < request.maxMessages());
    if (!claimed.isEmpty()) {
      flowWatch.claimed(queue.id());
    }
    return new Claim(deliveries(claimed, askedNanos), exhausted, heldFor);
  }

  private boolean understand(Lanes.Attempt attempt, List<ClaimStore.Claimed> claimed, int maxRuns) {
    if (claimed.isEmpty()) {
      lanes.finished(attempt, List.of(), true);
      return true;
    }
    List<Lanes.Taken> taken = claimed.stream().map(ClaimStore.Claimed::run).distinct().toList();
    long pickedRuns = claimed.get(0).pickedRuns();
    long pickedIds = claimed.get(0).pickedIds();
    boolean tookAll = taken.size() == pickedRuns && taken.get(taken.size() - 1).whole();
    boolean exhausted = tookAll && pickedRuns < maxRuns;
    messagesPerRun = 0.5 * messagesPerRun + 0.5 * pickedIds / pickedRuns;
    lanes.finished(attempt, taken, exhausted);
    return exhausted;
  }

  private List<Delivery> deliveries(List<ClaimStore.Claimed> claimed, long askedNanos) {
    if (claimed.isEmpty()) {
      return List.of();
    }
    long leaseId = claimed.get(0).leaseId();
    Duration hiddenFor = Duration.ofMillis(claimed.get(0).hiddenForMs());
    Lease lease =
        new Lease(
            leaseId, queue.id(), hiddenFor, claimed.stream().map(ClaimStore.Claimed::id).toList());
    if (deletes) {
      lease.open().clear();
    } else {
      expiry.in(hiddenFor.toMillis());
    }
    List<Delivery> deliveries = new ArrayList<>(claimed.size());
    List<Long> missing = new ArrayList<>();
    List<Settlement> expired = new ArrayList<>();
    for (ClaimStore.Claimed message : claimed) {
      MessageRow row = message.row();
      if (row == null) {
        missing.add(message.id());
      } else {
        Delivery delivery = new Delivery(queue.name(), lease, message, row, settler, askedNanos);
        if (deletes) {
          delivery.settling().begin();
        }
        if (deletes ? !delivery.wasExpired() : !delivery.isExpired()) {
          deliveries.add(delivery);
        } else if (!deletes) {
          expired.add(new Settlement(delivery, new Verdict.Expired()));
        }
      }
    }
    if (!missing.isEmpty() && !deletes) {
      settler.dropMissing(lease, missing);
    }
    settler.dropExpired(expired);
    return deliveries;
  }
}
