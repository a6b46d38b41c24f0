package dev.trunkline.topic;

import dev.trunkline.error.TrunklineException;
import dev.trunkline.topic.GroupPulseStore.Claim;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A member of a group in this process: what the database last said that it has. Thread-safe.
 *
 * <p>The pulse brings a new view once a second and whenever something changed; the consumer
 * compares it with what it holds, in its own thread and in its own time. Views follow each other,
 * so one that was missed does no harm.
 */
final class Membership {
  private final GroupRow group;
  private final MemberConfig config;
  private final Consumer<Membership> changed;
  private volatile View view;
  private volatile long heardNanos;
  private volatile @Nullable TrunklineException end;

  /** What the member had under one id, at one moment. */
  record View(long memberId, List<Claim> claims) {}

  /**
   * What is different from what the consumer holds.
   *
   * @param gained to be taken up
   * @param wanted held, and to be handed over
   * @param lost held, and no longer the member's
   */
  record Difference(List<Claim> gained, List<Integer> wanted, List<Integer> lost) {}

  /**
   * Joined just now.
   *
   * @param changed called, by any thread, when there is a new view; it must be quick
   */
  Membership(GroupRow group, MemberConfig config, long memberId, Consumer<Membership> changed) {
    this.group = group;
    this.config = config;
    this.changed = changed;
    this.view = new View(memberId, List.of());
    this.heardNanos = System.nanoTime();
  }

  GroupRow group() {
    return group;
  }

  MemberConfig config() {
    return config;
  }

  /** The id it has now: another one after it had been taken for dead. */
  long id() {
    return view.memberId();
  }

  View view() {
    return view;
  }

  /**
   * Whether the others cannot have taken it for dead yet. Otherwise nothing new is begun: its
   * partitions may be somebody else's.
   */
  boolean isFresh() {
    return System.nanoTime() - heardNanos < group.agreed().sessionTimeout().toNanos();
  }

  /** Its heartbeat arrived. */
  void seen(List<Claim> claims, long beatNanos) {
    View before = view;
    heardNanos = beatNanos;
    view = new View(before.memberId(), claims);
    if (!before.claims().equals(claims) || isWaitedFor()) {
      changed.accept(this);
    }
  }

  /** It was taken for dead, and has joined again. */
  void rejoined(long memberId, long beatNanos) {
    heardNanos = beatNanos;
    view = new View(memberId, List.of());
    changed.accept(this);
  }

  /** It cannot go on: its place is taken, or its group is gone. */
  void ended(TrunklineException reason) {
    end = reason;
    view = new View(view.memberId(), List.of());
    changed.accept(this);
  }

  /** Why it is no member any more, or null. */
  @Nullable TrunklineException end() {
    return end;
  }

  /** Whether others wait for a partition of its. */
  boolean isWaitedFor() {
    return view.claims().stream().anyMatch(Claim::wanted);
  }

  /**
   * Compares a view with what is held.
   *
   * @param heldAs the id of the member that holds
   * @param held the epoch of each partition that is held
   * @param released the last epoch of each partition that was given up: an older view still has it
   */
  static Difference difference(
      View view, long heldAs, Map<Integer, Long> held, Map<Integer, Long> released) {
    Map<Integer, Claim> claims = new HashMap<>();
    view.claims().forEach(claim -> claims.put(claim.partition(), claim));
    List<Integer> wanted = new ArrayList<>();
    List<Integer> lost = new ArrayList<>();
    Set<Integer> kept = new HashSet<>();
    held.forEach(
        (partition, epoch) -> {
          Claim claim = claims.get(partition);
          if (view.memberId() != heldAs || claim == null || claim.epoch() != epoch) {
            lost.add(partition);
          } else {
            kept.add(partition);
            if (claim.wanted()) {
              wanted.add(partition);
            }
          }
        });
    List<Claim> gained =
        view.claims().stream()
            .filter(claim -> !kept.contains(claim.partition()))
            .filter(claim -> claim.epoch() > released.getOrDefault(claim.partition(), -1L))
            .toList();
    return new Difference(
        gained, wanted.stream().sorted().toList(), lost.stream().sorted().toList());
  }

  Duration sessionTimeout() {
    return group.agreed().sessionTimeout();
  }
}
