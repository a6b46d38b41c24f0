package dev.trunkline.topic;

import dev.trunkline.topic.GroupPulseStore.Claim;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a member holds, by partition. One thread at a time changes it, any may look.
 *
 * @param <T> how its consumer holds a partition
 */
final class Holdings<T> {
  private final Function<T, Held> held;
  private final ConcurrentMap<Integer, T> byPartition = new ConcurrentHashMap<>();

  /** The epoch under which each partition was given up last: an older view still has it. */
  private final Map<Integer, Long> givenUp = new TreeMap<>();

  Holdings(Function<T, Held> held) {
    this.held = held;
  }

  Membership.Difference differenceTo(Membership.View view) {
    Map<Integer, Long> epochs =
        byPartition.entrySet().stream()
            .collect(Collectors.toMap(Map.Entry::getKey, e -> held.apply(e.getValue()).epoch()));
    long heldAs =
        byPartition.values().stream()
            .findFirst()
            .map(each -> held.apply(each).memberId())
            .orElse(view.memberId());
    return Membership.difference(view, heldAs, epochs, givenUp);
  }

  void take(Claim claim, T holding) {
    byPartition.put(claim.partition(), holding);
  }

  /** No longer held; a view from before does not bring it back. */
  void giveUp(int partition) {
    T gone = byPartition.remove(partition);
    if (gone != null) {
      givenUp.put(partition, held.apply(gone).epoch());
    }
  }

  @Nullable T get(int partition) {
    return byPartition.get(partition);
  }

  Collection<T> all() {
    return byPartition.values();
  }

  Set<Integer> partitions() {
    return Set.copyOf(byPartition.keySet());
  }

  List<Held> held(Collection<Integer> partitions) {
    return partitions.stream()
        .sorted()
        .map(byPartition::get)
        .filter(Objects::nonNull)
        .map(held)
        .toList();
  }

  boolean isEmpty() {
    return byPartition.isEmpty();
  }
}
