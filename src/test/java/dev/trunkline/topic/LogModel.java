package dev.trunkline.topic;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * What a log has to hold, known from what was done to it: the simplest thing that can be compared
 * with it. Thread-safe.
 *
 * <p>Times are of any clock that all who tell it use: the number of a move, or nanoseconds.
 */
final class LogModel {
  /** Complaints beyond these are not worth reading. */
  private static final int ENOUGH = 10;

  private final AtomicInteger names = new AtomicInteger();
  private final List<Committed> committed = new ArrayList<>();

  /**
   * A record that was published, perhaps for nothing.
   *
   * @param at when its publish had not begun yet
   */
  record Published(String text, @Nullable String key, long at) {}

  /**
   * A record that is there for good.
   *
   * @param transaction unique
   * @param place within the transaction
   * @param at when the commit had been confirmed
   */
  private record Committed(Published record, int transaction, int place, long at) {}

  /** A text that no other record has. */
  String freshText() {
    return "m" + names.incrementAndGet();
  }

  /** A transaction that published these, in this order, was committed. */
  synchronized void committed(List<Published> records, long at) {
    int transaction = names.incrementAndGet();
    for (int place = 0; place < records.size(); place++) {
      committed.add(new Committed(records.get(place), transaction, place, at));
    }
  }

  synchronized int size() {
    return committed.size();
  }

  /**
   * What is wrong with a complete delivery, a line each: something lost, something twice, something
   * that was never committed, an effect before its cause, a transaction out of order.
   */
  synchronized List<String> complaints(List<String> delivered) {
    List<String> complaints = new ArrayList<>();
    Map<String, Integer> places = new HashMap<>();
    for (String text : delivered) {
      if (places.put(text, places.size()) != null) {
        complaints.add("twice: " + text);
      }
    }
    Set<String> unknown = new HashSet<>(places.keySet());
    Map<String, List<Committed>> byKey = new HashMap<>();
    for (Committed one : committed) {
      if (!unknown.remove(one.record().text())) {
        complaints.add("lost: " + one);
      } else if (one.record().key() != null) {
        byKey.computeIfAbsent(one.record().key(), key -> new ArrayList<>()).add(one);
      }
    }
    unknown.forEach(text -> complaints.add("never committed: " + text));
    byKey.values().forEach(records -> disorders(records, places, complaints));
    return complaints.subList(0, Math.min(complaints.size(), ENOUGH));
  }

  private static void disorders(
      List<Committed> records, Map<String, Integer> places, List<String> complaints) {
    // From the end of the log: of what comes later, the one that was committed first, and of each
    // transaction the one that was published first.
    List<Committed> fromTheEnd =
        records.stream()
            .filter(one -> places.containsKey(one.record().text()))
            .sorted(
                Comparator.comparing((Committed one) -> places.get(one.record().text())).reversed())
            .toList();
    Committed earliest = null;
    Map<Integer, Committed> firstOf = new HashMap<>();
    for (Committed b : fromTheEnd) {
      if (earliest != null && earliest.at() < b.record().at()) {
        complaints.add("effect before cause: " + b + " before " + earliest);
      }
      Committed sibling = firstOf.get(b.transaction());
      if (sibling != null && sibling.place() < b.place()) {
        complaints.add("effect before cause: " + b + " before " + sibling);
      }
      earliest = earliest == null || b.at() < earliest.at() ? b : earliest;
      firstOf.merge(b.transaction(), b, (x, y) -> x.place() < y.place() ? x : y);
    }
  }
}
